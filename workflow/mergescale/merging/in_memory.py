"""Merging what is in memory: for models of which many merges are tried, as in the study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergescale.checkpoints.folder import read_weights
from mergescale.merging.chunk import DeltaBlock
from mergescale.merging.method import Method
from mergescale.merging.ops.elect import materialize
from mergescale.merging.ops.quantile import find_cutoff
from mergescale.merging.ops.task_vector import by_tensor, task_vector
from mergescale.merging.statistics import MagnitudeThreshold, TensorSum, over_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from mergescale.merging.ops.trim import Cutoff


def merged_task_vector(
    method: Method,
    task_vectors: Mapping[str, Mapping[str, Tensor]],
    *,
    base: Mapping[str, Tensor] | None = None,
    seed: int | None = None,
    weights: Mapping[str, float] | None = None,
    **settings: Any,
) -> dict[str, Tensor]:
    """The merged task vector {tensor: Tensor}, of which lambda times is added to the base.

    task_vectors: {expert: {tensor: fp32 Tensor}}. base: the base's weights, for methods that look
    at them (SLERP); zeros otherwise. weights: factors of experts, 1 by default. Expert and tensor
    names, not their order, decide the result. Raises ValueError for bad parameters, too few or too
    many experts, and a stochastic method without a seed.
    """
    tau = {}
    for first, chunk in _chunks(method, task_vectors, base, seed, weights, settings):
        if not len(chunk.base):
            tau[chunk.tensor] = first.clone()  # no element: nothing to add up or to reduce
            continue
        made = materialize(method.reduce(chunk, **chunk.settings[0]))
        tau[chunk.tensor] = (made[0] if isinstance(made, tuple) else made).view(first.shape)
    return tau


def merge_record(
    method: Method,
    task_vectors: Mapping[str, Mapping[str, Tensor]],
    *,
    base: Mapping[str, Tensor] | None = None,
    seed: int | None = None,
    weights: Mapping[str, float] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """What merge.json tells of this merge beside its recipe, such as EMR's rescalers.

    Arguments and errors as of `merged_task_vector`.
    """
    if not method.record:
        return {}
    sums: dict[str, dict[str, Tensor]] = {}
    for _, chunk in _chunks(method, task_vectors, base, seed, weights, settings):
        for name, value in chunk.sums.items():
            sums.setdefault(name, {})[chunk.tensor] = value
    return method.record(sorted(task_vectors), {n: over_tensors(of) for n, of in sums.items()})


def _chunks(
    method: Method,
    task_vectors: Mapping[str, Mapping[str, Tensor]],
    base: Mapping[str, Tensor] | None,
    seed: int | None,
    weights: Mapping[str, float] | None,
    settings: Mapping[str, Any],
) -> Iterator[tuple[Tensor, DeltaBlock]]:
    """Each tensor whole, with all statistics: (the first expert's task vector, what is reduced)."""
    import torch

    parameters = method.canonical(settings)
    method.check_experts(len(task_vectors))
    if method.stochastic and seed is None:
        raise ValueError(f"{method.name} draws at random and needs a seed")
    experts = sorted(task_vectors)
    factors = [(weights or {}).get(expert, 1.0) for expert in experts]
    method.check_weights(factors)
    wanted = method.statistics(parameters)
    thresholds = {
        name: [_thresholds(task_vectors[expert], wish) for expert in experts]
        for name, wish in wanted.items()
        if isinstance(wish, MagnitudeThreshold)
    }
    for tensor, deltas in by_tensor(task_vectors):
        parts = [deltas[expert].reshape(-1) for expert in experts]
        chunk = DeltaBlock(
            tensor=tensor,
            start=0,
            experts=experts,
            deltas=parts,
            base=torch.zeros_like(parts[0]) if base is None else base[tensor].float().reshape(-1),
            weights=factors,
            settings=[parameters] * len(experts),
            seed=seed,
            thresholds={n: [of[tensor] for of in every] for n, every in thresholds.items()},
        )
        if len(chunk.base):
            sums = {n: wish for n, wish in wanted.items() if isinstance(wish, TensorSum)}
            chunk.sums = {n: summed(wish, chunk) for n, wish in sums.items()}
        yield deltas[experts[0]], chunk


def _thresholds(task_vector: Mapping[str, Tensor], wish: MagnitudeThreshold) -> dict[str, Cutoff]:
    """The threshold that holds in each tensor."""
    if wish.scope == "tensor":
        return {name: find_cutoff({name: delta}, wish) for name, delta in task_vector.items()}
    return dict.fromkeys(task_vector, find_cutoff(task_vector, wish))


def summed(wish: TensorSum, chunk: DeltaBlock, block: int = 1 << 16) -> Tensor:
    """A sum over a chunk that begins at a block's beginning: blocks are added in order."""
    total = None
    for piece in blocks(chunk, block):
        part = wish.of(piece)
        total = part if total is None else total + part
    return total


def blocks(chunk: DeltaBlock, block: int) -> Sequence[DeltaBlock]:
    """The chunk cut into blocks of so many elements."""
    from dataclasses import replace

    size = len(chunk.base)
    return [
        replace(
            chunk,
            start=chunk.start + at,
            deltas=[delta[at : at + block] for delta in chunk.deltas],
            base=chunk.base[at : at + block],
            shared={},  # those of the whole chunk are not the block's
        )
        for at in range(0, size, block)
    ]


def read_task_vectors(base: Mapping, experts: Mapping[str, str | Path]) -> dict[str, dict]:
    """{expert: task vector} from {expert: folder}; base: the weights of the base."""
    return {
        name: task_vector(read_weights(folder), base, label=f"{name} ({folder})")
        for name, folder in sorted(experts.items())
    }
