"""Draws a mixture from a source of any size: read twice, with only ids in mind the first time."""

from __future__ import annotations

import random
from array import array

import numpy as np

from mergescale.provenance.digests import text_hash
from mergescale.tasks.mixtures.decontamination import Decontamination
from mergescale.tasks.mixtures.example_batches import Reader
from mergescale.tasks.task import Example


def draw(
    read: Reader, rows: int, seed: int, decontamination: Decontamination
) -> list[tuple[str, Example]]:
    """Draw at most `rows` examples, each with its task's name, in an order drawn from `seed`.

    Tasks give equally many rows, or all they have; which ones, a hash of their ids decides, so that
    a smaller mixture of the same tasks lies within a larger one. What `decontamination` removes is
    gone before that.

    Raises:
        ValueError: the source is faulty, or nothing is left of it.
    """
    # 8 bytes a row: a source may have many millions of them.
    places: dict[str, array[int]] = {}
    for batch in read():
        for task, example in decontamination.clean(batch):
            places.setdefault(task, array("Q")).append(_place(example.id))
    if not places:
        raise ValueError(decontamination.nothing_left())
    # By id: a row that occurs twice is one.
    ordered = {task: np.unique(found) for task, found in places.items()}
    shares = _shares({task: len(found) for task, found in ordered.items()}, rows)
    chosen = {task: set(found[: shares[task]].tolist()) for task, found in ordered.items()}
    drawn: dict[tuple[str, int], Example] = {}
    for batch in read():
        for task, example in batch.rows:
            place = _place(example.id)
            if place in chosen.get(task, ()):
                drawn.setdefault((task, place), example)
    decontamination.drew(
        {task: share for task, share in shares.items() if share},
        repeated=sum(map(len, places.values())) - sum(map(len, ordered.values())),
    )
    mixed = [(key[0], drawn[key]) for key in sorted(drawn)]
    random.Random(f"{seed}/mixture").shuffle(mixed)
    return mixed


def _place(name: str) -> int:
    """The place of an id in the order in which rows are drawn, from 0 below 2**64."""
    return text_hash(name)


def _shares(sizes: dict[str, int], rows: int) -> dict[str, int]:
    """Rows of each task, of `rows` in all: alike, but no task gives more than it has.

    The smallest tasks are served first, so that the others can share what they leave.
    """
    shares = {}
    order = sorted(sizes, key=lambda name: (sizes[name], name))
    for served, name in enumerate(order):
        shares[name] = min(sizes[name], rows // (len(order) - served))
        rows -= shares[name]
    return shares
