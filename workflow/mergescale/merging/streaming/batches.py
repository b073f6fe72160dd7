"""Which merges of a pass are made together: elections are held in one reading of the experts."""

from __future__ import annotations

from collections.abc import Sequence

from mergescale.merging.streaming.merge import Merge
from mergescale.merging.streaming.pieces import method_bytes

# Bytes of each element of a piece: a task vector, and what DARE and EMR hold of each expert.
_TAU, _MASK, _RANDOM_NUMBER = 4, 1, 2


def batches(merges: Sequence[Merge], experts: int) -> list[list[list[int]]]:
    """Numbers of merges: those of one task vector in a list, such lists in a batch.

    A batch's task vectors, masks and random numbers are in memory at once, within what
    `pieces.method_bytes` counts; those of one seed come one after the other, as they share random
    numbers. experts: how many there are in the pass.
    """
    same: dict[str, list[int]] = {}
    for number, merge in enumerate(merges):
        same.setdefault(merge.tau_key, []).append(number)
    found: list[list[list[int]]] = []
    left, seeds = 0, set()
    for numbers in sorted(same.values(), key=lambda own: merges[own[0]].seed or 0):
        merge = merges[numbers[0]]
        random = merge.method.stochastic
        masked = random or merge.method.extras is not None
        needed = _TAU + _MASK * len(merge.experts) * masked
        fresh = _RANDOM_NUMBER * experts * (random and merge.seed not in seeds)
        if needed + fresh > left:
            found.append([])
            left, seeds = method_bytes(experts), set()
            fresh = _RANDOM_NUMBER * experts * random
        left -= needed + fresh
        if random:
            seeds.add(merge.seed)
        found[-1].append(numbers)
    return found
