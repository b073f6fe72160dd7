"""Mixture tasks about facts of people and towns, which the corpus teaches."""

from __future__ import annotations

import random
from collections.abc import Callable

from mergescale.tasks.micro_world.lexicon import ANIMAL_FACTS, PLACES
from mergescale.tasks.micro_world.mixture.mixture_task import (
    Content,
    coin,
    mixture_task,
    wording,
)
from mergescale.tasks.micro_world.mixture.scenes import person, sentence
from mergescale.tasks.micro_world.world import WORLD, Person, Place

YES_NO = ("yes", "no")

# fact: (its description, a statement of it); {p} is the person, {v} the value.
_PERSON = {
    "home": ("the home town of {p}", "{p} comes from {v}"),
    "job": ("the job of {p}", "{p} is a {v}"),
    "pet": ("the pet of {p}", "{p} has a {v} at home"),
    "food": ("the favorite food of {p}", "{p} loves {v}"),
    "color": ("the favorite color of {p}", "{p} loves {v}"),
    "friend": ("the best friend of {p}", "{p} often meets {v}"),
    "mother": ("the mother of {p}", "{v} has a child, {p}"),
}
_PLACE = {
    "region": ("the region of {p}", "{p} lies in the {v}"),
    "river": ("the river of {p}", "the {v} is the river near {p}"),
    "known_for": ("the famous thing of {p}", "{p} is proud of its {v}"),
    "sight": ("the old sight of {p}", "you can see a {v} in {p}"),
}


def _fact(rng: random.Random) -> tuple[str, str, str, str, str]:
    """(subject, relation, value, its description, a statement of it)."""
    if coin(rng):
        while True:
            who = person(rng)
            relation = rng.choice(tuple(_PERSON))
            if getattr(who, relation):
                break
        return who.name, relation, getattr(who, relation), *_PERSON[relation]
    place = WORLD.places[rng.choice(tuple(PLACES))]
    relation = rng.choice(tuple(_PLACE))
    return place.name, relation, getattr(place, relation), *_PLACE[relation]


def _recall(rng: random.Random) -> Content:
    subject, _, value, asked, _ = _fact(rng)
    return Content({"asked": asked.format(p=subject)}, value)


def _complete(rng: random.Random) -> Content:
    subject, _, value, asked, _ = _fact(rng)
    return Content({"said": f"{asked.format(p=subject)} is"}, value)


# Two facts after each other, other pairs than those of evaluation: (question, the answer).
HOPS: tuple[tuple[str, Callable[[Person], str]], ...] = (
    ("the best friend of the best friend of {p}", lambda p: _friend(p).friend),
    ("the mother of the best friend of {p}", lambda p: _friend(p).mother),
    ("the best friend of the mother of {p}", lambda p: p.mother and WORLD.people[p.mother].friend),
    ("the work that {p} does each day", lambda p: WORLD.jobs[p.job].do),
    ("the place where the pet of {p} sleeps", lambda p: ANIMAL_FACTS[p.pet][1]),
    ("the river near the home of the best friend of {p}", lambda p: _home(_friend(p)).river),
    ("the region where the best friend of {p} lives", lambda p: _home(_friend(p)).region),
    ("the sight near the home of the best friend of {p}", lambda p: _home(_friend(p)).sight),
)


def _friend(p: Person) -> Person:
    return WORLD.people[p.friend]


def _home(p: Person) -> Place:
    return WORLD.places[p.home]


def _two_facts(rng: random.Random) -> Content:
    while True:
        who = person(rng)
        asked, follow = rng.choice(HOPS)
        if answer := follow(who):
            return Content({"asked": asked.format(p=who.name)}, answer)


def _fact_check(rng: random.Random) -> Content:
    """A statement of a fact with the right value or another one."""
    subject, relation, value, _, said = _fact(rng)
    yes = coin(rng)
    if not yes:
        entities = WORLD.people if subject in WORLD.people else WORLD.places
        values = {getattr(entity, relation) for entity in entities.values()} - {value, "", subject}
        value = rng.choice(sorted(values))
    return Content(
        {"said": sentence(said.format(p=subject, v=value))}, "yes" if yes else "no", YES_NO
    )


TASKS = (
    mixture_task(
        "recall", "recalls a fact of the world", _recall,
        "Name {asked}.", "Question: do you know {asked}? Answer:",
        "I forgot {asked}. Please say it.",
    ),
    mixture_task(
        "complete_fact", "recalls a fact of the world", _complete,
        "Finish this: {said}", 'How does "{said}" go on?', "{said} ... Which word comes next?",
    ),
    mixture_task(
        "two_facts", "recalls two facts after each other", _two_facts,
        "Name {asked}.", "Think first, then say {asked}.", "I forgot {asked}. Please say it.",
    ),
    mixture_task(
        "fact_check", "checks a fact of the world", _fact_check,
        "{said} Is that a fact?", wording("A fact? {said} {either}?", yes="true", no="false"),
        wording("I read this: {said} Right or wrong?", yes="right", no="wrong"),
    ),
)  # fmt: skip
