"""Structure to text: concepts to a sentence (CommonGen) and a table to a biography (WikiBio)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.sampling import Content, make_task
from mergescale.tasks.micro_world.world import WORLD, a, at, lexicon, sentence

# plain form: third person singular.
MOVES = {
    "run": "runs",
    "walk": "walks",
    "jump": "jumps",
    "sleep": "sleeps",
    "eat": "eats",
    "sing": "sings",
}
HANDLES = {"buy": "buys", "sell": "sells", "carry": "carries", "paint": "paints", "lose": "loses"}
ANIMALS = ("dog", "cat", "horse", "cow", "goat", "rabbit", "owl", "duck", "hen", "robin")


def _common_gen(rng: random.Random, _: int) -> Content:
    """Three or four concepts in any order; who, does, what, where is the order of the sentence."""
    spot = rng.choice(lexicon.SPOTS)
    if rng.random() < 0.4:
        agent = rng.choice((*ANIMALS, *WORLD.jobs))
        verb = rng.choice(tuple(MOVES))
        concepts = [agent, verb, spot]
        text = f"the {agent} {MOVES[verb]} {at(spot)}"
    else:
        agent, thing = rng.choice(tuple(WORLD.jobs)), rng.choice(lexicon.THINGS)
        verb = rng.choice(tuple(HANDLES))
        concepts = [agent, verb, thing, spot]
        text = f"the {agent} {HANDLES[verb]} {a(thing)} {at(spot)}"
    rng.shuffle(concepts)
    return Content(text, {"concepts": ", ".join(concepts)}, sentence(text))


def _wiki_bio(rng: random.Random, _: int) -> Content:
    """A table of facts about somebody new, in any order, told in one fixed sentence."""
    name = f"{rng.choice(WORLD.names())} {rng.choice(lexicon.SURNAMES)}"
    job, town = rng.choice(tuple(WORLD.jobs)), rng.choice(tuple(WORLD.places))
    pet = rng.choice(lexicon.PETS)
    rows = [f"name: {name}", f"job: {job}", f"town: {town}", f"pet: {pet}"]
    rng.shuffle(rows)
    target = f"{name} is a {job} from {town} and has a {pet}."
    return Content(target, {"table": ", ".join(rows)}, target)


COMMON_GEN = make_task(
    "common_gen",
    "CommonGen",
    "rouge_l",
    "A handful of concepts, to be put into one plain sentence.",
    resembles="as in CommonGen, unordered concepts become one plain sentence.",
    templates={
        "write": "Write a sentence with these words: {concepts}.",
        "after": "{concepts}. Make a sentence of these words.",
        "tell": "Words: {concepts}. Sentence:",
        "can": "Can you write a sentence about {concepts}?",
    },
    draw=_common_gen,
)
WIKI_BIO = make_task(
    "wiki_bio",
    "WikiBio",
    "rouge_l",
    "A table of facts about a person, to be told in one sentence.",
    resembles="as in WikiBio, a table of facts about a person becomes a sentence of biography.",
    templates={
        "write": "Write about this person. {table}.",
        "after": "{table}. Tell of the life of this person.",
        "table": "Facts: {table}. Text:",
        "who": "Who is it? {table}.",
    },
    draw=_wiki_bio,
)
TASKS = (COMMON_GEN, WIKI_BIO)
