"""Mixture tasks about causes and effects, and about the steps towards a goal."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.knowledge import CAUSES, SCRIPTS
from mergescale.tasks.micro_world.lexicon import FEELINGS
from mergescale.tasks.micro_world.mixture.mixture_task import (
    Content,
    coin,
    evaluated_in_copa,
    mixture_task,
    options,
    others,
    wording,
)
from mergescale.tasks.micro_world.mixture.scenes import person, sentence
from mergescale.tasks.micro_world.world import WORLD

YES_NO = ("yes", "no")


def _link(rng: random.Random, wrong: int) -> tuple[str, str, list[str], list[str]]:
    """A cause, its effect, `wrong` other causes and effects, about one person; no full stops."""
    name = person(rng).name
    chosen = rng.sample(CAUSES, wrong + 1)
    causes, effects = ([WORLD.render(c[i], name) for c in chosen] for i in (0, 1))
    return causes[0], effects[0], causes[1:], effects[1:]


def _untested_link(rng: random.Random, asked: int) -> tuple[str, str, list[str], list[str]]:
    """A link with one or two wrong parts that COPA does not evaluate.

    `asked` is 0 for a question about the effect, 1 for the cause.
    """
    while True:
        cause, effect, *wrong = _link(rng, rng.choice((1, 1, 2)))
        premise, answer = (cause, effect) if asked == 0 else (effect, cause)
        if not any(evaluated_in_copa(premise, answer, w) for w in wrong[1 - asked]):
            return cause, effect, *wrong


def _reason(rng: random.Random) -> Content:
    cause, effect, _, _ = _link(rng, 0)
    return Content({"effect": effect, "said": sentence(effect)}, cause)


def _result(rng: random.Random) -> Content:
    cause, effect, _, _ = _link(rng, 0)
    return Content({"cause": cause, "said": sentence(cause)}, effect)


def _reason_options(rng: random.Random) -> Content:
    cause, effect, causes, _ = _untested_link(rng, 1)
    slots = {"effect": effect, "said": sentence(effect)}
    return Content(slots, cause, options(rng, cause, causes))


def _result_options(rng: random.Random) -> Content:
    cause, effect, _, effects = _untested_link(rng, 0)
    slots = {"cause": cause, "said": sentence(cause)}
    return Content(slots, effect, options(rng, effect, effects))


def _linked(rng: random.Random) -> Content:
    cause, effect, _, effects = _link(rng, 1)
    yes = coin(rng)
    second = effect if yes else effects[0]
    slots = {"first": sentence(cause), "second": sentence(second), "cause": cause, "effect": second}
    return Content(slots, "yes" if yes else "no", YES_NO)


def _steps(rng: random.Random) -> tuple[str, str, list[str]]:
    """A person, a goal, and its steps as clauses without a subject."""
    who = person(rng)
    goal = rng.choice(tuple(SCRIPTS))
    return who.name, goal, [WORLD.render(step, who.name) for step in SCRIPTS[goal]]


def _other_step(rng: random.Random, goal: str, name: str) -> str:
    other = rng.choice([g for g in SCRIPTS if g != goal])
    return WORLD.render(rng.choice(SCRIPTS[other]), name)


def _slots(name: str, goal: str, steps: list[str], start: int, at: int) -> dict[str, str]:
    """Slots of a story with the steps from `start` to `at`."""
    he = WORLD.people[name].he
    return {"p": name, "he": he, "goal": goal, "steps": " and ".join(steps[start : at + 1])}


def _next_step(rng: random.Random) -> Content:
    name, goal, steps = _steps(rng)
    at = rng.randrange(len(steps) - 1)
    return Content(_slots(name, goal, steps, max(0, at - rng.randrange(2)), at), steps[at + 1])


def _next_step_options(rng: random.Random) -> Content:
    """The next step among two or three: wrong ones come from another goal or from further on."""
    name, goal, steps = _steps(rng)
    at = rng.randrange(len(steps) - 1)
    start = max(0, at - rng.randrange(2))
    wrong = [_other_step(rng, goal, name)]
    if coin(rng):
        wrong.append(rng.choice(steps[:start] + steps[at + 2 :] or [_other_step(rng, goal, name)]))
    if wrong[0] == wrong[-1]:
        wrong = wrong[:1]
    return Content(
        _slots(name, goal, steps, start, at), steps[at + 1], options(rng, steps[at + 1], wrong)
    )


def _step_fits(rng: random.Random) -> Content:
    name, goal, steps = _steps(rng)
    yes = coin(rng)
    step = rng.choice(steps) if yes else _other_step(rng, goal, name)
    slots = {"p": name, "goal": goal, "step": step}
    return Content(slots, "yes" if yes else "no", YES_NO)


def _feeling_check(rng: random.Random) -> Content:
    who = person(rng)
    feeling = rng.choice(tuple(FEELINGS))
    yes = coin(rng)
    asked = feeling if yes else others(rng, tuple(FEELINGS), feeling, 1)[0]
    event = sentence(f"{who.name} {rng.choice(FEELINGS[feeling])}")
    slots = {"p": who.name, "event": event, "feeling": asked}
    return Content(slots, "yes" if yes else "no", YES_NO)


TASKS = (
    mixture_task(
        "reason", "recalls the cause of an event", _reason,
        "Say how it came that {effect}. It was because",
        "Question: why is it that {effect}? Answer:", "Text: {said} Cause:",
    ),
    mixture_task(
        "result", "recalls the effect of an event", _result,
        "{cause}, and so it happened that", "Question: {said} What comes of it? Answer:",
        "Text: {said} Result:",
    ),
    mixture_task(
        "reason_options", "chooses the cause of an event", _reason_options,
        "Text: {said} Which is the cause? Options: {parted}.",
        "What made it so that {effect}: {either}?", "{lettered} Choose why {effect}.",
    ),
    mixture_task(
        "result_options", "chooses the effect of an event", _result_options,
        "Text: {said} Which is the result? Options: {parted}.",
        "If {cause}, what will happen: {either}?", "{lettered} Choose what comes of this: {said}",
    ),
    mixture_task(
        "linked", "checks whether one event leads to the other", _linked,
        "{first} {second} Did one cause the other?",
        "If {cause}, is it usual that {effect}?",
        wording("Claim: {cause}, so {effect}. {either}?", yes="true", no="false"),
        "{effect} because {cause}. Does this make sense?",
    ),
    mixture_task(
        "next_step", "recalls the next step towards a goal", _next_step,
        "The plan of {p} was to {goal}. {p} {steps}, then {he}",
        "First {p} {steps}, and after that {he}",
        "{p} {steps}. Question: what happened next? Answer:",
        "Story: {p} {steps}. The end: {he}",
    ),
    mixture_task(
        "next_step_options", "chooses the next step towards a goal", _next_step_options,
        "{p} had a plan: to {goal}. {p} {steps}. Next: {either}?",
        "Story: {p} {steps}. Which of these comes now? Options: {parted}.",
        "{lettered} Choose what {p} did after this: {p} {steps}.",
    ),
    mixture_task(
        "step_fits", "checks whether a step serves a goal", _step_fits,
        "{p} wanted to {goal}, so {p} {step}. Does this make sense?",
        wording("Claim: to {goal}, {p} {step}. {either}?", yes="true", no="false"),
        wording("To {goal}, {p} {step}. Right or wrong?", yes="right", no="wrong"),
    ),
    mixture_task(
        "feeling_check", "checks how somebody feels", _feeling_check,
        "{event} Does {p} feel {feeling}?", "Text: {event} Is {p} {feeling} now? yes or no?",
        wording("{event} Claim: {p} was {feeling}. {either}?", yes="true", no="false"),
    ),
)  # fmt: skip
