"""Short sentences that several mixture tasks share: who did what, where and when."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from mergescale.tasks.micro_world.lexicon import COLORS, DAYS, SPOTS, THINGS
from mergescale.tasks.micro_world.world import WORLD, Person, a, at, sentence

# Past and plain form of what people do with things.
DEEDS = {
    "bought": "buy",
    "found": "find",
    "lost": "lose",
    "sold": "sell",
    "saw": "see",
    "took": "take",
}

# Which adjectives suit whom and what; each has its opposite in `OPPOSITE`.
_PAIRS = {
    "person": ("happy", "tall", "strong", "fast", "big", "sick", "afraid"),
    "thing": ("big", "old", "clean", "wet", "heavy"),
    "place": ("open", "full", "near", "dark", "hot", "big"),
}
OPPOSITE = WORLD.antonym | {"sick": "well", "well": "sick", "afraid": "brave", "brave": "afraid"}
OPPOSITES = {kind: tuple((w, OPPOSITE[w]) for w in words) for kind, words in _PAIRS.items()}
STATES = {
    kind: tuple(w for pair in pairs for w in pair if w not in ("well", "brave"))
    for kind, pairs in OPPOSITES.items()
}


@dataclass(frozen=True)
class Scene:
    """ "Anna bought a red hat at the market on Monday." """

    who: Person
    deed: str
    color: str
    thing: str
    spot: str
    day: str

    def tell(self, *, color: bool = True, spot: bool = True, day: bool = False) -> str:
        thing = f"{self.color} {self.thing}" if color else self.thing
        text = f"{self.who.name} {self.deed} {a(thing)}"
        return text + (f" {self.at}" if spot else "") + (f" on {self.day}" if day else "")

    @property
    def at(self) -> str:
        return at(self.spot)

    def with_part(self, part: str, other: Scene) -> Scene:
        """This scene with one part taken from another scene."""
        return replace(self, **{part: getattr(other, part)})


def scene(rng: random.Random) -> Scene:
    return Scene(
        person(rng),
        rng.choice(tuple(DEEDS)),
        rng.choice(COLORS),
        rng.choice(THINGS),
        rng.choice(SPOTS),
        rng.choice(DAYS),
    )


def another(rng: random.Random, old: Scene, part: str) -> Scene:
    """The scene with one part ("who", "deed", "color", "thing", "spot", "day") changed."""
    if part == "who":
        return replace(
            old,
            who=rng.choice([p for p in PEOPLE if p.gender == old.who.gender and p is not old.who]),
        )
    values = {"deed": tuple(DEEDS), "color": COLORS, "thing": THINGS, "spot": SPOTS, "day": DAYS}[
        part
    ]
    return replace(old, **{part: rng.choice([v for v in values if v != getattr(old, part)])})


PEOPLE = tuple(WORLD.people.values())
_BY_GENDER = {g: tuple(p for p in PEOPLE if g in ("", p.gender)) for g in ("", "f", "m")}


def person(rng: random.Random, gender: str = "") -> Person:
    return rng.choice(_BY_GENDER[gender])


def two_people(rng: random.Random) -> tuple[Person, Person]:
    """Two different people."""
    first, second = rng.sample(PEOPLE, 2)
    return first, second


def state(rng: random.Random, kind: str = "") -> tuple[str, str, str]:
    """A subject, an adjective that suits it and the opposite: ("the hat", "wet", "dry")."""
    kind = kind or rng.choice(tuple(OPPOSITES))
    pair = list(rng.choice(OPPOSITES[kind]))
    rng.shuffle(pair)
    subject = {
        "person": lambda: person(rng).name,
        "thing": lambda: f"the {rng.choice(THINGS)}",
        "place": lambda: f"the {rng.choice(SPOTS)}",
    }[kind]()
    return subject, pair[0], pair[1]


__all__ = [
    "DEEDS",
    "OPPOSITES",
    "PEOPLE",
    "Scene",
    "another",
    "person",
    "scene",
    "sentence",
    "state",
    "two_people",
]
