"""Samples a mixture from a source of any size, which is read twice: for ids, then for rows."""

from __future__ import annotations

import random
from array import array

import numpy as np

from mergescale.provenance.digests import text_hash
from mergescale.tasks.mixtures.decontamination import Decontamination
from mergescale.tasks.mixtures.readers import Reader
from mergescale.tasks.task import Example


def sample_mixture(
    read: Reader, rows: int, seed: int, decontamination: Decontamination
) -> list[tuple[str, Example]]:
    """Sample at most `rows` examples, in equal numbers from all tasks (or all that a task has).

    A hash of their ids decides which rows are sampled, so that a smaller mixture of the same tasks
    is a subset of a larger one.

    Args:
        read: yields all rows of the source, each time it is called.
        rows: number of examples, at most.
        seed: decides their order.
        decontamination: removes rows first, and records what was removed and sampled.

    Returns:
        (task name, example) pairs.

    Raises:
        ValueError: the source is faulty, or nothing is left of it.
    """
    # 8 bytes a row: a source may have many millions of them.
    ranks: dict[str, array[int]] = {}
    for batch in read():
        for task, example in decontamination.filter(batch):
            ranks.setdefault(task, array("Q")).append(text_hash(example.id))
    if not ranks:
        raise ValueError(decontamination.explain_nothing_left())
    # By id: a row that occurs twice is one.
    ordered = {task: np.unique(found) for task, found in ranks.items()}
    shares = _shares({task: len(found) for task, found in ordered.items()}, rows)
    sampled_ranks = {task: set(found[: shares[task]].tolist()) for task, found in ordered.items()}
    sampled: dict[tuple[str, int], Example] = {}
    for batch in read():
        for task, example in batch.rows:
            rank = text_hash(example.id)
            if rank in sampled_ranks.get(task, ()):
                sampled.setdefault((task, rank), example)
    decontamination.note_sampled(
        {task: share for task, share in shares.items() if share},
        repeated=sum(map(len, ranks.values())) - sum(map(len, ordered.values())),
    )
    mixed = [(key[0], sampled[key]) for key in sorted(sampled)]
    random.Random(f"{seed}/mixture").shuffle(mixed)
    return mixed


def _shares(sizes: dict[str, int], rows: int) -> dict[str, int]:
    """Number of rows of each task, of `rows` in all: equal, but at most what the task has.

    The smallest tasks come first, so that the others share what they leave.
    """
    shares = {}
    order = sorted(sizes, key=lambda name: (sizes[name], name))
    for served, name in enumerate(order):
        shares[name] = min(sizes[name], rows // (len(order) - served))
        rows -= shares[name]
    return shares
