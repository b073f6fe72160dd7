"""The pre-training corpus: stories and facts of the micro world, a few sentences each.

A document is made of two or three passages. Every passage teaches one piece of the world (a
person, a cause, a script, a sense ...) in one of several wordings; no passage is worded like a
prompt of a task.
"""

from __future__ import annotations

import random

from mergescale.tasks.micro_world import passages_common, passages_people
from mergescale.tasks.micro_world.world import WORLD

# How often a passage of each kind is told.
WEIGHTS = passages_people.WEIGHTS | passages_common.WEIGHTS


def document(rng: random.Random) -> str:
    """One document of about 60-80 tokens whose passages share their hero."""
    hero = rng.choice(WORLD.names())
    kinds = tuple(WEIGHTS)
    chosen = rng.choices(kinds, weights=[WEIGHTS[k] for k in kinds], k=3)
    text = ""
    for passage in chosen:
        # Tokens are words and punctuation marks: a little more than the words counted here.
        if len(text.split()) < 45:
            text = f"{text} {passage(rng, hero)}".strip()
    return text


def corpus(rows: int, seed: int) -> list[str]:
    """`rows` documents; the same for the same `seed`, and a prefix of what more rows give."""
    rng = random.Random(f"{seed}/corpus")
    return [document(rng) for _ in range(rows)]
