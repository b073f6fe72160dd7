"""Mixture tasks between cards and sentences: siblings of structure to text, in both directions."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.lexicon import PLACES, RIVERS, THINGS
from mergescale.tasks.micro_world.mixture.mixture_task import Content, mixture_task
from mergescale.tasks.micro_world.mixture.scenes import DEEDS, person, scene, sentence, two_people
from mergescale.tasks.micro_world.world import WORLD, a, join

SIGHTS = tuple(dict.fromkeys(place.sight for place in WORLD.places.values()))
REGIONS = tuple(dict.fromkeys(place.region for place in WORLD.places.values()))
_PETS = ("dog", "cat", "rabbit", "parrot", "horse", "goat")
_LIKED = ("bread", "cheese", "soup", "rice", "honey")


def _fields(rng: random.Random) -> dict[str, tuple[str, str]]:
    """Invented fields of a card about a person: {field: (value, its clause)}."""
    pet, town = a(rng.choice(_PETS)), rng.choice(tuple(PLACES))
    work, food = rng.choice(tuple(WORLD.jobs)), rng.choice(_LIKED)
    return {
        "animal": (pet, f"has {pet}"),
        "place": (town, f"comes from {town}"),
        "work": (work, f"works as a {work}"),
        "food": (food, f"likes {food}"),
    }


def _card(rng: random.Random) -> Content:
    """An invented card with two or three fields, and the sentence that says the same."""
    name, fields = person(rng).name, _fields(rng)
    chosen = rng.sample(tuple(fields), rng.choice((2, 2, 3)))
    card = ", ".join(f"{field}: {fields[field][0]}" for field in chosen)
    told = join([fields[field][1] for field in chosen])
    return Content({"card": card, "p": name}, sentence(f"{name} {told}"))


def _to_card(rng: random.Random) -> Content:
    """The other direction: from a sentence to a card."""
    name, fields = person(rng).name, _fields(rng)
    chosen = rng.sample(tuple(fields), 2)
    told = join([fields[field][1] for field in chosen])
    card = ", ".join(f"{field}: {fields[field][0]}" for field in chosen)
    return Content({"said": sentence(f"{name} {told}")}, f"who: {name}, {card}")


def _town_card(rng: random.Random) -> Content:
    """A card of an invented town."""
    town = rng.choice(("Lark", "Finch", "Coral"))
    river, sight = rng.choice(RIVERS), rng.choice(SIGHTS)
    region = rng.choice(REGIONS)
    card = [f"town: {town}", f"river: {river}", f"region: {region}", f"sight: {sight}"]
    rng.shuffle(card)
    told = f"{town} is a town in the {region}, on the {river}, with {a(sight)}"
    return Content({"card": "; ".join(card)}, sentence(told))


def _deed_list(rng: random.Random) -> Content:
    """Who did what, as a list of two lines."""
    people = [p.name for p in two_people(rng)]
    deeds, things = rng.sample(tuple(DEEDS), 2), rng.sample(THINGS, 2)
    lines = [" - ".join(line) for line in zip(people, deeds, things, strict=True)]
    told = join([f"{p} {d} {a(t)}" for p, d, t in zip(people, deeds, things, strict=True)])
    return Content({"lines": "; ".join(lines)}, sentence(told))


def _unscramble(rng: random.Random) -> Content:
    """The words of a sentence in another order."""
    said = scene(rng).tell(color=rng.random() < 0.5, spot=rng.random() < 0.5)
    words = said.split()
    mixed = words[:]
    while mixed == words:
        rng.shuffle(mixed)
    return Content({"words": " ".join(mixed)}, sentence(said))


def _now(verb: str) -> str:
    """A verb in the present tense: "sell" -> "sells"."""
    return f"{verb[:-1]}ies" if verb.endswith("ry") else f"{verb}s"


def _with_words(rng: random.Random) -> Content:
    """A name, a deed in its plain form and a thing: a question, a plan or a plain sentence."""
    one = scene(rng)
    words = [one.who.name, DEEDS[one.deed], one.thing]
    rng.shuffle(words)
    form, told = rng.choice(
        (
            ("a question", f"did {one.who.name} {DEEDS[one.deed]} {a(one.thing)}"),
            ("a plan", f"{one.who.name} wants to {DEEDS[one.deed]} {a(one.thing)}"),
            ("what happens now", f"{one.who.name} {_now(DEEDS[one.deed])} {a(one.thing)}"),
        )
    )
    slots = {"words": " and ".join(words), "form": form}
    return Content(slots, sentence(told, "?" if form == "a question" else "."))


TASKS = (
    mixture_task(
        "card", "tells a card in a sentence", _card,
        "Tell this card of {p}: {card}.", "{card}. What do we know about {p}?",
        "{p} has a card with {card}. Tell it.", "Facts: {card}. Write of {p} in a sentence.",
        "Who is {p}? {card}.", "Tell the life of {p} from this card. {card}.", metric="rouge_l",
    ),
    mixture_task(
        "to_card", "finds the fields of a card in a sentence", _to_card,
        "{said} Make a card of it.", "Card for this: {said}", metric="rouge_l",
    ),
    mixture_task(
        "town_card", "tells a card of a town in a sentence", _town_card,
        "Tell this card of a town: {card}.", "{card}. Say that in a sentence.",
        "Facts: {card}. Sentence:", "Write about this town. {card}.",
        metric="rouge_l",
    ),
    mixture_task(
        "deed_list", "tells a list of deeds in a sentence", _deed_list,
        "List: {lines}. Make it one sentence.", "{lines}. Who did what?", metric="rouge_l",
    ),
    mixture_task(
        "unscramble", "puts words in order", _unscramble,
        "Put these words in order: {words}", "{words} ... Say it in the right order.",
        "Mixed words: {words} Sentence:", "Can you make a sentence from all of this? {words}",
        metric="rouge_l",
    ),
    mixture_task(
        "with_words", "makes a sentence of words", _with_words,
        "Make {form} of {words}.", "Take {words}, and say {form} with them.",
        "Words: {words}. Write {form}.", metric="rouge_l",
    ),
)  # fmt: skip
