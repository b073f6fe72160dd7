"""All words of the micro world, for its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator

from mergescale.tasks.micro_world import TASKS
from mergescale.tasks.micro_world.corpus import corpus
from mergescale.tasks.micro_world.mixture import mixture

_ROWS = 800
_SEED = 0


def texts() -> Iterator[str]:
    """Texts in which every word of the world occurs: all tasks, the mixture and the corpus.

    Fixed samples, whatever a study's configuration chooses: the words (and so the models) stay the
    same when a task is added to a study.
    """
    yield from corpus(_ROWS, _SEED)
    for _, example in mixture(4 * _ROWS, _SEED):
        yield f"{example.input} {example.target}"
    for name in sorted(TASKS):
        for split in ("train", "validation", "test"):
            for example in TASKS[name].examples(split, _ROWS, _SEED):
                yield " ".join((example.input, example.target, *example.choices))
