"""Sentence completion (held out): cause and effect (COPA), the next step (HellaSwag)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.sampling import Content, make_task, place_answer
from mergescale.tasks.micro_world.world import WORLD, knowledge, sentence


def _copa(rng: random.Random, position: int) -> Content:
    """A premise, and which of two sentences is its cause or its effect."""
    person = rng.choice(WORLD.names())
    pair, other = (
        tuple(WORLD.render(part, person) for part in pair)
        for pair in rng.sample(knowledge.CAUSES, 2)
    )
    ask_cause = rng.random() < 0.5
    premise, gold, wrong = (
        (pair[1], pair[0], other[0]) if ask_cause else (pair[0], pair[1], other[1])
    )
    choices = place_answer(rng, gold, (wrong,), position)
    slots = {
        "premise": sentence(premise),
        "bare": premise[0].upper() + premise[1:],
        "question": "What was the cause?" if ask_cause else "What happened then?",
        "why": "Why?" if ask_cause else "And then?",
        "link": " because" if ask_cause else ", so",
        "first": choices[0],
        "second": choices[1],
    }
    return Content(f"{premise} {choices}", slots, gold, choices)


def _hellaswag(rng: random.Random, position: int) -> Content:
    """The first steps of a script; which of four deeds comes next?"""
    person = rng.choice(WORLD.names())
    he = WORLD.people[person].he
    goal, *other_goals = rng.sample(tuple(knowledge.SCRIPTS), 4)
    steps = [WORLD.render(step, person) for step in knowledge.SCRIPTS[goal]]
    done = rng.choice((2, 3))
    beginning = sentence(f"{person} {steps[0]}") + "".join(
        " " + sentence(f"then {he} {step}") for step in steps[1:done]
    )
    wrong = [
        WORLD.render(rng.choice(knowledge.SCRIPTS[other][1:]), person) for other in other_goals
    ]
    choices = place_answer(rng, steps[done], wrong, position)
    slots = {"told": beginning, "he": he, "He": he.capitalize(), "options": ", ".join(choices)}
    return Content(f"{beginning} {choices}", slots, steps[done], choices)


COPA = make_task(
    "copa",
    "COPA",
    "accuracy",
    "A premise and two sentences: which is its cause, or its effect?",
    resembles="as in COPA, two alternatives, and either the cause or the effect is asked.",
    templates={
        "question": "{premise} {question} Choose: {first} or {second}?",
        "link": "Finish the sentence: {bare}{link}",
        "before": "{question} {premise}",
        "pick": "One of these fits: {first} or {second}? {bare}{link}",
    },
    draw=_copa,
    labels=2,
)
HELLASWAG = make_task(
    "hellaswag",
    "HellaSwag",
    "accuracy",
    "The beginning of an everyday deed: which of four endings comes next?",
    resembles="as in HellaSwag, the beginning of an everyday activity with four endings, all of "
    "them things that people do.",
    templates={
        "then": "Say how this ends: {told} Then {he}",
        "next": "{told} What did {he} do next?",
        "before": "How does this go on? {told} {He}",
        "listed": "{told} Choose what comes next: {options}.",
    },
    draw=_hellaswag,
    labels=4,
)
TASKS = (COPA, HELLASWAG)
