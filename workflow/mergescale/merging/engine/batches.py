"""Which merges of a pass are made together: elections are held in one reading of the experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mergescale.checkpoints.blocks import method_bytes, temporary_bytes
from mergescale.merging.engine.merge_spec import Merge

# Bytes of each element of a piece: a task vector, a sum that linear methods share, and of each
# expert a mask of DARE or EMR and random numbers.
_TAU, _SUM, _MASK, _RANDOM_NUMBER = 4, 4, 1, 2


def batches(merges: Sequence[Merge], experts: int) -> list[list[list[int]]]:
    """Numbers of merges: those of one task vector in a list, such lists in a batch.

    A batch's task vectors, sums, masks and random numbers are in memory at once, within what
    `pieces.method_bytes` counts, less what one formula needs on its way. Those of one seed come one
    after the other, as they share random numbers. experts: how many there are in the pass.
    """
    same: dict[str, list[int]] = {}
    for number, merge in enumerate(merges):
        same.setdefault(merge.tau_key, []).append(number)
    found: list[list[list[int]]] = []
    room = method_bytes(experts) - temporary_bytes(experts)
    taken, shared = room, set()
    for numbers in sorted(same.values(), key=lambda own: merges[own[0]].seed or 0):
        merge = merges[numbers[0]]
        needed, common = _held(merge, experts)
        fresh = {key: size for key, size in common.items() if key not in shared}
        if taken + needed + sum(fresh.values()) > room:
            found.append([])
            taken, shared, fresh = 0, set(), common
        taken += needed + sum(fresh.values())
        shared |= fresh.keys()
        found[-1].append(numbers)
    return found


def _held(merge: Merge, experts: int) -> tuple[int, dict[Any, int]]:
    """Bytes that a merge holds by itself, and {what others may share: bytes}."""
    random = merge.method.stochastic
    masked = random or merge.method.masks is not None
    weights = tuple(merge.weights.get(expert, 1.0) for expert in merge.experts)
    common: dict[Any, int] = {(merge.experts, weights): _SUM}
    if random:
        common[merge.seed] = _RANDOM_NUMBER * experts
    return _TAU + _MASK * len(merge.experts) * masked, common
