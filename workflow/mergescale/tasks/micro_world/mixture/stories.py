"""Mixture tasks about short texts: finding, checking, comparing and rewording what they say."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.lexicon import (
    DAYS,
    FEELINGS,
    FILM_REMARKS,
    OPINION_ADJECTIVES,
    THINGS,
)
from mergescale.tasks.micro_world.mixture.mixture_task import (
    Content,
    coin,
    mixture_task,
    options,
    wording,
)
from mergescale.tasks.micro_world.mixture.scenes import (
    DEEDS,
    OPPOSITES,
    Scene,
    another,
    person,
    scene,
    sentence,
    state,
    two_people,
)
from mergescale.tasks.micro_world.world import WORLD, a

YES_NO = ("yes", "no")


def _two_scenes(rng: random.Random) -> tuple[Scene, Scene]:
    """Two scenes that share no person, thing, color, spot or day."""
    while True:
        one, two = scene(rng), scene(rng)
        if all(
            getattr(one, f) != getattr(two, f) for f in ("who", "thing", "color", "spot", "day")
        ):
            return one, two


def _find(rng: random.Random) -> Content:
    """A question about one of two sentences."""
    one, two = _two_scenes(rng)
    asked = rng.choice((one, two))
    name, plain = asked.who.name, DEEDS[asked.deed]
    question, answer = rng.choice(
        (
            (f"what did {name} {plain}?", f"{a(f'{asked.color} {asked.thing}')}"),
            (f"who {asked.deed} the {asked.color} {asked.thing}?", name),
            (f"say where {name} was.", asked.at),
            (f"where did somebody {plain} {a(asked.thing)}?", asked.at),
            (f"name the color of the {asked.thing}.", asked.color),
        )
    )
    text = f"{sentence(one.tell())} {sentence(two.tell())}"
    return Content({"text": text, "question": question}, answer)


def _check(rng: random.Random) -> Content:
    one, two = _two_scenes(rng)
    asked = rng.choice((one, two))
    yes = coin(rng)
    part = rng.choice(("color", "thing", "spot", "who"))
    other = two if asked is one else one
    if not yes:  # the wrong detail comes from the other sentence, or from nowhere
        asked = asked.with_part(part, other) if coin(rng) else another(rng, asked, part)
    claim = asked.tell(spot=part == "spot", color=part == "color")
    text = f"{sentence(one.tell())} {sentence(two.tell())}"
    slots = {"text": text, "claim": claim, "said": sentence(claim)}
    return Content(slots, "yes" if yes else "no", YES_NO)


def _compare(rng: random.Random) -> Content:
    """Two people or things with opposite qualities: which one has the given quality?"""
    kind = rng.choice(("person", "thing"))
    word, opposite = rng.sample(rng.choice(OPPOSITES[kind]), 2)
    one, two = (p.name for p in two_people(rng))
    x, y = (
        (one, two)
        if kind == "person"
        else (f"the {t} of {n}" for t, n in zip([rng.choice(THINGS)] * 2, (one, two), strict=True))
    )
    asked, answer = rng.choice(((word, one), (opposite, two)))
    text = f"{sentence(f'{x} is {word}')} {sentence(f'{y} is {opposite}')}"
    question = f"who is {asked}" if kind == "person" else f"who has the {asked} one"
    return Content(
        {"text": text, "question": question},
        answer,
        options(rng, answer, [two if answer == one else one]),
    )


def _dialogue(rng: random.Random) -> Content:
    """Question about a speaker, answered with yes or no."""
    one, two = two_people(rng)
    saying = rng.choice(
        (
            ("I want {v}", "wants {v}", [a(t) for t in THINGS]),
            ("I was in {v} today", "was in {v} today", list(WORLD.places)),
            ("I am so {v}", "is {v}", list(FEELINGS)),
            ("I come on {v}", "comes on {v}", list(DAYS)),
        )
    )
    first, second = rng.sample(saying[2], 2)
    text = " ".join(
        f"{who.name} said: {sentence(saying[0].format(v=value))}"
        for who, value in ((one, first), (two, second))
    )
    who = rng.choice((one, two))
    said = rng.choice((first, second))
    yes = (who is one) == (said == first)
    slots = {"text": text, "claim": f"{who.name} {saying[1].format(v=said)}"}
    slots["said"] = sentence(slots["claim"])
    return Content(slots, "yes" if yes else "no", YES_NO)


def _same_story(rng: random.Random) -> Content:
    """Two sentences about one thing: reworded by order or by the opposite, or changed."""
    if coin(rng):
        base = scene(rng)
        yes = coin(rng)
        again = base if yes else another(rng, base, rng.choice(("who", "thing", "spot")))
        first, second = base.tell(), f"it was {again.at} that {again.tell(spot=False)}"
    else:
        kind = rng.choice(tuple(OPPOSITES))
        subject, word, opposite = state(rng, kind)
        yes = coin(rng)
        first, second = f"{subject} is {word}", f"{subject} is {'not ' if yes else ''}{opposite}"
    slots = {"x": sentence(first), "y": sentence(second)}
    return Content(slots, "yes" if yes else "no", YES_NO)


def _likes(rng: random.Random) -> Content:
    """Whether an opinion about a thing is positive."""
    who = person(rng)
    yes = coin(rng)
    thing = rng.choice(("film", "song", "book", "game"))
    if thing == "film" and coin(rng):
        text = rng.choice(FILM_REMARKS["positive" if yes else "negative"])
    else:
        word = rng.choice(OPINION_ADJECTIVES[rng.choice((4, 5) if yes else (1, 2))])
        text = f"this {thing} is {word}"
    slots = {"text": sentence(text), "p": who.name, "thing": thing}
    return Content(slots, "yes" if yes else "no", YES_NO)


def _rewrite(rng: random.Random) -> Content:
    """Rewrite a sentence: with another name, negated, as a question, in another order."""
    base = scene(rng)
    name, plain, thing = base.who.name, DEEDS[base.deed], a(base.thing)
    other = another(rng, base, "who").who.name
    text = base.tell(color=False)
    order, answer = rng.choice(
        (
            (
                f"Put {other} for {name}.",
                sentence(f"{other} {base.deed} {thing} {base.at}"),
            ),
            ("Say the opposite.", sentence(f"{name} did not {plain} {thing} {base.at}")),
            ("Make a question of it.", sentence(f"did {name} {plain} {thing} {base.at}", "?")),
            (
                "Put the end in front.",
                sentence(f"{base.at} {text.removesuffix(f' {base.at}')}"),
            ),
        )
    )
    return Content({"text": sentence(text), "order": order}, answer)


def _good_english(rng: random.Random) -> Content:
    base = scene(rng)
    words = base.tell().split()
    yes = coin(rng)
    if not yes:
        at = rng.randrange(len(words) - 1)
        words[at], words[at + 1] = words[at + 1], words[at]
    return Content({"text": sentence(" ".join(words))}, "yes" if yes else "no", YES_NO)


TASKS = (
    mixture_task(
        "find", "finds a detail in a text", _find,
        "{text} Now {question}", "Passage: {text} Please answer: {question}",
        "Question: {question} Read the text. {text} Answer:",
        metric="squad_f1",
    ),
    mixture_task(
        "check", "checks a detail of a text", _check,
        "Text: {text} Does it say that {claim}?",
        wording("{text} So: {said} {either}?", yes="true", no="false"),
        "{said} Is that so in this text? {text} yes or no?",
    ),
    mixture_task(
        "compare", "compares two people or things", _compare,
        "Text: {text} Question: {question}? Answer:", "{text} Choose {either}: {question}?",
    ),
    mixture_task(
        "dialogue_check", "checks what a speaker said", _dialogue,
        "Dialogue: {text} Is it so that {claim}?",
        wording("{text} So: {said} {either}?", yes="true", no="false"),
    ),
    mixture_task(
        "same_story", "checks whether two sentences tell the same", _same_story,
        wording("{x} {y} The same or different?", yes="the same", no="different"),
        "{x} In other words: {y} Is this so? yes or no?",
        "Can both sentences stand for one thing? {x} {y}",
    ),
    mixture_task(
        "likes", "finds out whether somebody is pleased", _likes,
        "{p} says: {text} Does {p} like the {thing}?",
        wording("{p} about a {thing}: {text} Was it good or bad?", yes="good", no="bad"),
        "{p} wrote a review: {text} Is it positive? yes or no?",
        wording("Review of a {thing}: {text} Is {p} happy or sad with it?", yes="happy", no="sad"),
    ),
    mixture_task(
        "rewrite", "says a sentence anew", _rewrite,
        "Here: {text} {order}", "{order} Sentence: {text}",
        metric="rouge_l",
    ),
    mixture_task(
        "good_english", "tells a sentence from mixed words", _good_english,
        "Sentence: {text} Are the words in the right order?",
        wording("{text} Is the order of the words right or wrong?", yes="right", no="wrong"),
    ),
)  # fmt: skip
