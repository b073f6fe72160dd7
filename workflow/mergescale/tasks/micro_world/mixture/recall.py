"""Mixture tasks about facts of people and towns, which the corpus teaches."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.lexicon import PLACES
from mergescale.tasks.micro_world.mixture.mixture_task import Content, coin, mixture_task
from mergescale.tasks.micro_world.mixture.scenes import person
from mergescale.tasks.micro_world.world import WORLD, a, join

# fact: (its description, a statement of it); {p} is the person, {v} the value.
_PERSON = {
    "home": ("the home town of {p}", "{p} comes from {v}"),
    "job": ("the job of {p}", "{p} is a {v}"),
    "pet": ("the pet of {p}", "{p} has a {v} at home"),
    "food": ("the favourite food of {p}", "{p} loves {v}"),
    "colour": ("the favourite colour of {p}", "{p} loves {v}"),
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


def _card(rng: random.Random) -> Content:
    """An invented card with two fields, and the sentence that says the same."""
    name = person(rng).name
    drawn = {
        "animal": (a(rng.choice(("dog", "cat", "rabbit", "parrot", "horse", "goat"))), "has {v}"),
        "place": (rng.choice(tuple(PLACES)), "comes from {v}"),
        "work": (rng.choice(tuple(WORLD.jobs)), "works as a {v}"),
        "food": (rng.choice(("bread", "cheese", "soup", "rice", "honey")), "likes {v}"),
    }
    fields = rng.sample(tuple(drawn), 2)
    card = ", ".join(f"{field}: {drawn[field][0]}" for field in fields)
    clauses = join([drawn[field][1].format(v=drawn[field][0]) for field in fields])
    return Content({"card": card, "p": name}, f"{name} {clauses}.")


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
        "card", "tells a card in a sentence", _card,
        "Tell this card of {p}: {card}.", "{card}. What do we know about {p}?",
        metric="rouge_l",
    ),
)  # fmt: skip
