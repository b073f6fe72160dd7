"""The micro world itself: 24 people and 8 towns with their facts, fixed by a seed.

`WORLD` is the only world of the project. Facts about people (home, job, pet, ...) are sampled with
`WORLD_SEED`; common knowledge comes from `lexicon` and `knowledge`. The module also has the small
grammar that every text uses: articles, plurals, capitals.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from mergescale.tasks.micro_world import knowledge, lexicon

WORLD_SEED = 7


@dataclass(frozen=True)
class Place:
    """A town: `region` (north ...), `river` (without "the"), what it is `known_for`, a `sight`."""

    name: str
    region: str
    river: str
    known_for: str
    sight: str


@dataclass(frozen=True)
class Job:
    """A job: `workplace` ("bakery"), `does` ("bakes bread"), `do` ("bake bread")."""

    name: str
    workplace: str
    does: str
    do: str


@dataclass(frozen=True)
class Person:
    """One of the 24 people. All fields but `gender` ("f" or "m") name other things of the world.

    `mother` is empty for the four elders.
    """

    name: str
    gender: str
    home: str
    job: str
    pet: str
    food: str
    color: str
    friend: str
    mother: str

    @property
    def he(self) -> str:
        return "she" if self.gender == "f" else "he"

    @property
    def him(self) -> str:
        return "her" if self.gender == "f" else "him"

    @property
    def his(self) -> str:
        return "her" if self.gender == "f" else "his"


@dataclass(frozen=True)
class World:
    """The facts of the world; `lexicon` and `knowledge` describe the form of each part."""

    people: dict[str, Person]
    places: dict[str, Place]
    jobs: dict[str, Job]
    hypernym: dict[str, str]
    antonym: dict[str, str]
    synonym: dict[str, str]

    def names(self, gender: str = "") -> tuple[str, ...]:
        """Names of all people, or of those of one gender ("f", "m")."""
        return tuple(p.name for p in self.people.values() if gender in ("", p.gender))

    def render(self, text: str, person: str = "", **slots: str) -> str:
        """Fill `{p}`, `{he}`, `{him}`, `{his}` with a person and all other slots by name."""
        if person:
            who = self.people[person]
            slots = {"p": who.name, "he": who.he, "him": who.him, "his": who.his} | slots
        return text.format(**slots)

    def fact_values(self) -> dict[str, tuple[str, ...]]:
        """All values that each attribute of a person can take, in a fixed order."""
        return {
            "home": tuple(self.places),
            "job": tuple(self.jobs),
            "pet": lexicon.PETS,
            "food": lexicon.FOODS,
            "color": lexicon.COLORS,
            "friend": tuple(self.people),
            "mother": lexicon.ELDERS,
        }


def _spread(values: tuple[str, ...], count: int, rng: random.Random) -> list[str]:
    """`count` values in random order, each used equally often (up to rounding)."""
    repeated = [values[i % len(values)] for i in range(count)]
    rng.shuffle(repeated)
    return repeated


def build_world(seed: int = WORLD_SEED) -> World:
    """Sample the facts about the people; everything else is the same for every seed."""
    rng = random.Random(f"{seed}/micro-world")
    names = sorted(lexicon.GIRLS + lexicon.BOYS)
    homes, jobs, pets, foods, colors = (
        _spread(values, len(names), rng)
        for values in (
            tuple(lexicon.PLACES),
            tuple(lexicon.JOBS),
            lexicon.PETS,
            lexicon.FOODS,
            lexicon.COLORS,
        )
    )
    # Friendship is a ring: everybody has one best friend, and is the best friend of one other.
    ring = names[:]
    rng.shuffle(ring)
    friend = {name: ring[(i + 1) % len(ring)] for i, name in enumerate(ring)}
    young = [name for name in names if name not in lexicon.ELDERS]
    while True:  # a mother is not also the best friend
        mother = dict(zip(young, _spread(lexicon.ELDERS, len(young), rng), strict=True))
        if all(mother[name] != friend[name] for name in young):
            break
    people = {
        name: Person(
            name=name,
            gender="f" if name in lexicon.GIRLS else "m",
            home=homes[i],
            job=jobs[i],
            pet=pets[i],
            food=foods[i],
            color=colors[i],
            friend=friend[name],
            mother=mother.get(name, ""),
        )
        for i, name in enumerate(names)
    }
    both_ways = [pair for a, b in lexicon.ANTONYMS for pair in ((a, b), (b, a))]
    return World(
        people=people,
        places={name: Place(name, *facts) for name, facts in lexicon.PLACES.items()},
        jobs={name: Job(name, *facts) for name, facts in lexicon.JOBS.items()},
        hypernym={m: kind for kind, members in lexicon.CATEGORIES.items() for m in members},
        antonym=dict(both_ways),
        synonym=dict(lexicon.SYNONYMS),
    )


def article(noun: str) -> str:
    """The indefinite article of a word: "an" before a vowel ("an old hat"), else "a"."""
    return "an" if noun[0].lower() in "aeiou" and not noun.startswith("use") else "a"


def a(noun: str) -> str:
    """The noun with its indefinite article; without one if it is a mass noun ("milk")."""
    return noun if noun in lexicon.MASS_NOUNS else f"{article(noun)} {noun}"


def plural(noun: str) -> str:
    """The plural of a countable noun of the lexicon."""
    return lexicon.IRREGULAR_PLURALS.get(noun, f"{noun}s")


def at(spot: str) -> str:
    """The spot with its preposition and article: "in the park"."""
    return f"{lexicon.SPOT_PREPOSITIONS[spot]} the {spot}"


def sentence(text: str, end: str = ".") -> str:
    """Capital letter in front, `end` behind: "it rained" -> "It rained."."""
    return f"{text[0].upper()}{text[1:]}{end}"


def join(parts: list[str] | tuple[str, ...], word: str = "and") -> str:
    """ "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"


WORLD = build_world()

__all__ = [
    "WORLD",
    "WORLD_SEED",
    "Job",
    "Person",
    "Place",
    "World",
    "a",
    "article",
    "at",
    "build_world",
    "join",
    "knowledge",
    "lexicon",
    "plural",
    "sentence",
]
