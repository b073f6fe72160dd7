"""The facts of the world as statements and questions, each in several wordings.

`{s}` is what the fact is about (a person or a town), `{v}` its value. Statements come without full
stop, questions without question mark and with a small first letter.
"""

from __future__ import annotations

from dataclasses import dataclass

from mergescale.tasks.micro_world.world import WORLD


@dataclass(frozen=True)
class Relation:
    """One kind of fact; its statements mean the same, and so do its questions."""

    name: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]


# The wordings of one relation mostly share a word ("town", "job"), so that small models get far by
# matching words; "lives" and "town" take a model that knows that they belong together.
PERSON_RELATIONS = (
    Relation(
        "home",
        ("{s} lives in {v}", "the home town of {s} is {v}", "{s} lives in the town of {v}"),
        (
            "what is the home town of {s}",
            "in which town does {s} live",
            "which town is the home of {s}",
        ),
    ),
    Relation(
        "job",
        ("{s} works as a {v}", "{s} has the job of a {v}", "the job of {s} is to be a {v}"),
        ("what is the job of {s}", "which job does {s} have", "what job does {s} do"),
    ),
    Relation(
        "pet",
        ("{s} has a pet {v}", "the pet of {s} is a {v}", "a {v} is the pet of {s}"),
        ("which pet does {s} have", "what is the pet of {s}", "what pet lives with {s}"),
    ),
    Relation(
        "food",
        (
            "the food that {s} likes is {v}",
            "the favorite food of {s} is {v}",
            "{s} eats {v} each day",
        ),
        (
            "which food does {s} like",
            "what is the favorite food of {s}",
            "what food does {s} eat each day",
        ),
    ),
    Relation(
        "color",
        (
            "the favorite color of {s} is {v}",
            "{s} wears a {v} coat",
            "{v} is the color that {s} likes",
        ),
        (
            "what is the favorite color of {s}",
            "which color does {s} like",
            "which color is the coat of {s}",
        ),
    ),
    Relation(
        "friend",
        (
            "the best friend of {s} is {v}",
            "{s} is a friend of {v}",
            "{v} is the best friend of {s}",
        ),
        (
            "who is the best friend of {s}",
            "which friend does {s} have",
            "what is the name of the friend of {s}",
        ),
    ),
    Relation(
        "mother",
        ("the mother of {s} is {v}", "{s} has a mother, {v}", "{v} is the mother of {s}"),
        (
            "who is the mother of {s}",
            "which mother does {s} have",
            "what is the name of the mother of {s}",
        ),
    ),
)
PLACE_RELATIONS = (
    Relation(
        "region",
        (
            "the region of {s} is the {v}",
            "{s} is a town in the {v}",
            "{s} is in the region of the {v}",
        ),
        ("in which region is {s}", "which region is home to {s}", "what is the region of {s}"),
    ),
    Relation(
        "river",
        (
            "the river {v} runs through {s}",
            "{s} is on the river {v}",
            "the river of {s} is the {v}",
        ),
        (
            "which river runs through {s}",
            "on which river is {s}",
            "what is the name of the river of {s}",
        ),
    ),
    Relation(
        "known_for",
        (
            "{s} is known for its {v}",
            "{s} is famous for its {v}",
            "people know {s} for its {v}",
        ),
        (
            "what is {s} known for",
            "for what do people know {s}",
            "what is {s} known and famous for",
        ),
    ),
    Relation(
        "sight",
        (
            "there is an old {v} in {s}",
            "people visit the old {v} of {s}",
            "{s} has an old {v}",
        ),
        (
            "what old sight do people visit in {s}",
            "which old sight does {s} have",
            "what old sight is there in {s}",
        ),
    ),
)


def value(subject: str, relation: str) -> str:
    """The value of a relation for a person or a town; empty where there is none."""
    entity = WORLD.people.get(subject) or WORLD.places[subject]
    return getattr(entity, relation)


def relations_of(subject: str) -> tuple[Relation, ...]:
    """The relations that a person or a town has."""
    kinds = PERSON_RELATIONS if subject in WORLD.people else PLACE_RELATIONS
    return tuple(r for r in kinds if value(subject, r.name))
