"""Mixture tasks about sentences that say the same: siblings of paraphrase identification."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.mixture.mixture_task import (
    Content,
    coin,
    mixture_task,
    options,
    wording,
)
from mergescale.tasks.micro_world.mixture.scenes import DEEDS, Scene, another, scene, sentence
from mergescale.tasks.micro_world.world import a

YES_NO = ("yes", "no")
_ALIKE = ("fully", "partly", "not at all")


def _ways(one: Scene) -> tuple[str, ...]:
    """A scene in several wordings, without full stop."""
    thing, name = a(one.thing), one.who.name
    return (
        f"{name} {one.deed} {thing} {one.at}",
        f"it was {one.at} that {name} {one.deed} {thing}",
        f"it was {name} who {one.deed} {thing} {one.at}",
        f"{one.at} {thing} was what {name} {one.deed}",
    )


def _other(rng: random.Random, one: Scene) -> Scene:
    """Another scene with the same person or the same thing."""
    for part in rng.choice((("deed", "thing", "spot"), ("who", "deed", "spot"), ("thing",))):
        one = another(rng, one, part)
    return one


def _same_event(rng: random.Random) -> Content:
    one, yes = scene(rng), coin(rng)
    x, y = rng.sample(range(4), 2)
    second = one if yes else _other(rng, one)
    slots = {"x": sentence(_ways(one)[x]), "y": sentence(_ways(second)[y])}
    return Content(slots, "yes" if yes else "no", YES_NO)


def _questions(one: Scene) -> tuple[str, ...]:
    """Questions with one answer, of scenes that evaluation does not ask about."""
    name, plain, thing = one.who.name, DEEDS[one.deed], a(one.thing)
    return (
        f"did {name} {plain} {thing}",
        f"was it {name} who {one.deed} {thing}",
        f"is it true that {name} {one.deed} {thing}",
    )


def _same_request(rng: random.Random) -> Content:
    one, yes = scene(rng), coin(rng)
    second = one if yes else another(rng, one, rng.choice(("who", "thing")))
    x, y = rng.sample(range(3), 2)
    slots = {
        "x": sentence(_questions(one)[x], "?"),
        "y": sentence(_questions(second)[y], "?"),
    }
    return Content(slots, "yes" if yes else "no", YES_NO)


def _alike(rng: random.Random) -> Content:
    """How much two sentences say of the same: all, some or nothing."""
    one = scene(rng)
    answer = rng.choice(_ALIKE)
    second = one
    if answer == "partly":
        second = another(rng, one, rng.choice(("who", "thing", "spot")))
    elif answer == "not at all":
        for part in ("who", "deed", "thing", "spot"):
            second = another(rng, second, part)
    x, y = rng.sample(range(4), 2)
    slots = {"x": sentence(_ways(one)[x]), "y": sentence(_ways(second)[y])}
    return Content(slots, answer, _ALIKE)


def _which_same(rng: random.Random) -> Content:
    """Which of two sentences says what a sentence says."""
    one = scene(rng)
    x, y, z = rng.sample(range(4), 3)
    right, wrong = (sentence(_ways(one)[y]), sentence(_ways(_other(rng, one))[z]))
    return Content({"x": sentence(_ways(one)[x])}, right, options(rng, right, [wrong]))


def _in_other_words(rng: random.Random) -> Content:
    """A sentence in another, given form."""
    one = scene(rng)
    x, y = rng.sample(range(3), 2)
    beginning = ("the name", f"it was {one.at}", "it was and the name")[y]
    return Content({"x": sentence(_ways(one)[x]), "beginning": beginning}, sentence(_ways(one)[y]))


TASKS = (
    mixture_task(
        "same_event", "compares two sentences: the same event or not", _same_event,
        wording("{x} {y} One event or two events?", yes="one event", no="two events"),
        "{x} Somebody else told it so: {y} Is it one story? yes or no?",
        wording("{x} {y} Is the second sentence a copy in other words? {either}?",
                yes="a copy", no="no copy"),
        "Could we leave out one of these sentences? {x} {y}",
        "{x} Then again: {y} Was the same said again?",
        "One: {x} Two: {y} Do they mean the same thing? yes or no?",
    ),
    mixture_task(
        "same_request", "compares two questions: the same answer or not", _same_request,
        wording("{x} {y} One question or two questions?", yes="one", no="two"),
        "{x} If we know that, do we know this too? {y}", "I want to know: {x} Do I ask again? {y}",
        "{x} {y} Is this the same question? yes or no?",
        wording("Questions: {x} {y} Are they equal or different?", yes="equal", no="different"),
    ),
    mixture_task(
        "alike", "tells how much two sentences have in common", _alike,
        "{x} {y} Are these alike: {either}?", "How far does this agree? {x} {y} {either}?",
        "First: {x} Second: {y} Alike?",
    ),
    mixture_task(
        "which_same", "finds the sentence that says the same", _which_same,
        "{x} Which one says that too? {lettered}", "Find the twin of this: {x} {lettered}",
        "{lettered} Which one goes with this? {x}",
    ),
    mixture_task(
        "in_other_words", "says a sentence in another form", _in_other_words,
        "{x} Say this anew and begin with {beginning}.", "Begin with {beginning}: {x}",
        metric="rouge_l",
    ),
)  # fmt: skip
