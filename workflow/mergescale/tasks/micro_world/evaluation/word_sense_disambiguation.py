"""Word sense disambiguation (held out): one word, two sentences, one sense or two (WiC)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.sampling import Content, make_task
from mergescale.tasks.micro_world.world import WORLD, knowledge, sentence

ANSWERS = ("yes", "no")


def _wic(rng: random.Random, label: int) -> Content:
    """Each sentence marks its sense by a word that goes with that sense only."""
    word = rng.choice(tuple(knowledge.SENSES))
    senses = [
        sentences[knowledge.MIXTURE_SENTENCES :] for _gloss, sentences in knowledge.SENSES[word]
    ]
    rng.shuffle(senses)
    if label == 0:
        pair = rng.sample(senses[0], 2)
    else:
        pair = [rng.choice(senses[0]), rng.choice(senses[1])]
    first, second = (sentence(WORLD.render(text, rng.choice(WORLD.names()))) for text in pair)
    slots = {"word": word, "first": first, "second": second}
    return Content(f"{word}: {first} {second}", slots, ANSWERS[label], ANSWERS)


WIC = make_task(
    "wic",
    "WiC",
    "accuracy",
    "Two sentences with the same word: has it the same sense in both?",
    resembles="as in WiC, one word in two sentences, used in one sense or in two.",
    templates={
        "same": '{first} {second} Does "{word}" mean the same in both sentences?',
        "before": 'Is the sense of "{word}" the same? {first} {second}',
        "numbered": 'Sentence one: {first} Sentence two: {second} Same "{word}"? yes or no?',
        "word": "Word: {word}. {first} {second} Same sense?",
    },
    draw=_wic,
    labels=2,
)
TASKS = (WIC,)
