"""The pre-training corpus: stories and facts of the micro world, a few sentences each.

A document has two or three passages. Every passage teaches one fact of the world (about a person,
a cause, a script, a word sense ...) in one of several wordings; none is worded like a prompt of a
task.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from mergescale.tasks.micro_world import passages_common, passages_people
from mergescale.tasks.micro_world.world import WORLD

# How often each kind of passage occurs.
WEIGHTS = passages_people.WEIGHTS | passages_common.WEIGHTS

_TOKENIZER_ROWS = 800
_TOKENIZER_SEED = 0


def document(rng: random.Random) -> str:
    """A document of about 60 to 80 tokens; its passages are about the same person."""
    person = rng.choice(WORLD.names())
    kinds = tuple(WEIGHTS)
    passages = rng.choices(kinds, weights=[WEIGHTS[kind] for kind in kinds], k=3)
    text = ""
    for passage in passages:
        # Tokens are words and punctuation marks: a little more than the words counted here.
        if len(text.split()) < 45:
            text = f"{text} {passage(rng, person)}".strip()
    return text


def corpus(rows: int, seed: int) -> list[str]:
    """Generate the corpus.

    Args:
        rows: number of documents; fewer documents are a prefix of more.
        seed: seed of the random numbers.
    """
    rng = random.Random(f"{seed}/corpus")
    return [document(rng) for _ in range(rows)]


def tokenizer_texts() -> Iterator[str]:
    """Texts in which every word of the world occurs: corpus, mixture and all tasks.

    They are fixed samples, independent of a study's configuration, so that the vocabulary (and
    with it the models) stays the same when a task is added to a study.
    """
    from mergescale.tasks.micro_world.evaluation import TASKS
    from mergescale.tasks.micro_world.mixture import mixture

    yield from corpus(_TOKENIZER_ROWS, _TOKENIZER_SEED)
    for _, example in mixture(4 * _TOKENIZER_ROWS, _TOKENIZER_SEED):
        yield f"{example.input} {example.target}"
    for name in sorted(TASKS):
        for split in ("train", "validation", "test"):
            for example in TASKS[name].examples(split, _TOKENIZER_ROWS, _TOKENIZER_SEED):
                yield " ".join((example.input, example.target, *example.choices))
