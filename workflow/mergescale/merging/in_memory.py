"""Merge experts in memory: for models of which many merges are tried, as in the study.

from mergescale.merging import get_method, read_task_vectors
from mergescale.checkpoints.folder import read_weights

base = read_weights("models/base")
experts = {"math": "models/math", "code": "models/code"}
tau = get_method("ties").tau(read_task_vectors(base, experts), density=0.2)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergescale.checkpoints.folder import read_weights
from mergescale.merging.delta_block import DeltaBlock, check_tau
from mergescale.merging.method import Method
from mergescale.merging.ops.elect import materialize
from mergescale.merging.ops.quantile import find_cutoff
from mergescale.merging.ops.task_vector import by_tensor, task_vector
from mergescale.merging.statistics import (
    MagnitudeThreshold,
    StatisticsFile,
    TensorSum,
    sum_over_tensors,
)

if TYPE_CHECKING:
    from torch import Tensor

    from mergescale.merging.ops.trim import Cutoff

# {kind, such as "fisher": {expert: {tensor: Tensor}}}: the contents of statistics files
FileStatistics = Mapping[str, Mapping[str, Mapping[str, "Tensor"]]]
_SUM_BLOCK = 1 << 16  # elements whose sums are added in order, as the engine does


@dataclass(frozen=True)
class MergedTaskVector:
    """What a method makes of task vectors in memory.

    Attributes:
        tau: The merged task vector, {tensor: fp32 Tensor}; lambda times it is added to the base.
        masks: {name: {tensor: bool Tensor}} of methods that return masks (EMR: one per expert).
        record: What merge.json has beside the recipe, such as EMR's rescalers.
    """

    tau: dict[str, Tensor]
    masks: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)


def merge_task_vectors(
    method: Method,
    task_vectors: Mapping[str, Mapping[str, Tensor]],
    *,
    base: Mapping[str, Tensor] | None = None,
    seed: int | None = None,
    weights: Mapping[str, float] | None = None,
    statistics: FileStatistics | None = None,
    **parameters: Any,
) -> MergedTaskVector:
    """Merge the task vectors of experts.

    The names of experts and tensors, not their order, decide the result.

    Args:
        method: A merging method.
        task_vectors: {expert: {tensor: fp32 Tensor}}.
        base: The base's weights, for methods that use them (SLERP, Fisher); zeros by default.
        seed: For methods that draw random numbers.
        weights: {expert: factor}; 1 for experts that are not named.
        statistics: {kind: {expert: {tensor: Tensor}}}, the contents of the statistics files that
            the method requires, such as {"fisher": ...}.
        parameters: The method's parameters but lambda.

    Raises:
        ValueError: For parameters that are not allowed, too few or too many experts, a stochastic
            method without a seed, and missing statistics.
    """
    merged = MergedTaskVector({})
    sums: dict[str, dict[str, Tensor]] = {}
    common, blocks = _whole_tensors(
        method, task_vectors, base, seed, weights, statistics, parameters
    )
    for first, block in blocks:
        if not len(block.base):
            merged.tau[block.tensor] = first.clone()  # a tensor without elements
            continue
        result = materialize(method.merge_block(block, common))
        tau, masks = result if isinstance(result, tuple) else (result, {})
        tau = materialize(tau)
        check_tau(method.name, tau, block.base)
        merged.tau[block.tensor] = tau.view(first.shape)
        for name, mask in masks.items():
            merged.masks.setdefault(name, {})[block.tensor] = mask.view(first.shape)
        for name, value in block.statistics.items():
            sums.setdefault(name, {})[block.tensor] = value
    if method.record:
        needed = method.required_statistics(common)
        totals = {
            name: sum_over_tensors(sums[name])
            for name, statistic in needed.items()
            if isinstance(statistic, TensorSum)
        }
        merged.record.update(method.record(sorted(task_vectors), totals))
    return merged


def _whole_tensors(
    method: Method,
    task_vectors: Mapping[str, Mapping[str, Tensor]],
    base: Mapping[str, Tensor] | None,
    seed: int | None,
    weights: Mapping[str, float] | None,
    files: FileStatistics | None,
    parameters: Mapping[str, Any],
) -> tuple[dict[str, Any], Iterator[tuple[Tensor, DeltaBlock]]]:
    """Canonical parameters, and for each tensor (its first task vector, its block)."""
    common = method.canonical(parameters)
    method.check_experts(len(task_vectors))
    if method.stochastic and seed is None:
        raise ValueError(f"{method.name} draws random numbers and needs a seed")
    experts = sorted(task_vectors)
    factors = [(weights or {}).get(expert, 1.0) for expert in experts]
    method.check_weights(factors)
    needed = method.required_statistics(common)
    cutoffs = {
        name: [_cutoffs(task_vectors[expert], statistic) for expert in experts]
        for name, statistic in needed.items()
        if isinstance(statistic, MagnitudeThreshold)
    }
    contents = {
        name: _file_contents(method, statistic, experts, files or {})
        for name, statistic in needed.items()
        if isinstance(statistic, StatisticsFile)
    }

    def blocks() -> Iterator[tuple[Tensor, DeltaBlock]]:
        import torch

        for tensor, deltas in by_tensor(task_vectors):
            first = deltas[experts[0]]
            parts = [deltas[expert].reshape(-1) for expert in experts]
            block = DeltaBlock(
                tensor=tensor,
                shape=tuple(first.shape),
                start=0,
                experts=experts,
                deltas=parts,
                base=(
                    torch.zeros_like(parts[0]) if base is None else base[tensor].float().reshape(-1)
                ),
                weights=factors,
                parameters=[common] * len(experts),
                seed=seed,
            )
            size = len(block.base)
            block.statistics = {
                name: [cutoff[tensor].in_block(tensor, 0, size) for cutoff in every]
                for name, every in cutoffs.items()
            } | {
                name: [_entries(content, tensor, first) for content in every]
                for name, every in contents.items()
            }
            if size:
                block.statistics |= {
                    name: sum_over_block(statistic, block)
                    for name, statistic in needed.items()
                    if isinstance(statistic, TensorSum)
                }
            yield first, block

    return common, blocks()


def _cutoffs(task_vector: Mapping[str, Tensor], threshold: MagnitudeThreshold) -> dict[str, Cutoff]:
    """The cutoff that applies in each tensor."""
    if threshold.scope == "tensor":
        return {name: find_cutoff({name: delta}, threshold) for name, delta in task_vector.items()}
    return dict.fromkeys(task_vector, find_cutoff(task_vector, threshold))


def _file_contents(
    method: Method, statistic: StatisticsFile, experts: list[str], files: FileStatistics
) -> list[Mapping[str, Tensor]]:
    """Each expert's statistics."""
    of_kind = files.get(statistic.kind, {})
    if missing := [expert for expert in experts if expert not in of_kind]:
        raise ValueError(
            f"{method.name} needs {statistic.kind} statistics of {', '.join(missing)}; pass "
            f"statistics={{{statistic.kind!r}: {{expert: {{tensor: Tensor}}}}}}"
        )
    return [of_kind[expert] for expert in experts]


def _entries(content: Mapping[str, Tensor], tensor: str, like: Tensor) -> Tensor:
    """A tensor of a statistics file, 1-D, fp32."""
    if tensor not in content or content[tensor].shape != like.shape:
        found = tuple(content[tensor].shape) if tensor in content else "no such tensor"
        raise ValueError(f"statistics: tensor {tensor} must be {tuple(like.shape)}, is {found}")
    return content[tensor].float().reshape(-1)


def sum_over_block(statistic: TensorSum, block: DeltaBlock, elements: int = _SUM_BLOCK) -> Tensor:
    """Return a sum over a whole tensor: parts of so many elements are added in order."""
    total = None
    for part in block.split(elements):
        value = statistic.of(part)
        total = value if total is None else total + value
    return total


def read_task_vectors(
    base: Mapping[str, Tensor], experts: Mapping[str, str | Path]
) -> dict[str, dict[str, Tensor]]:
    """Return {expert: task vector}.

    Args:
        base: The base's weights.
        experts: {name: folder}.
    """
    return {
        name: task_vector(read_weights(folder), base, label=f"{name} ({folder})")
        for name, folder in sorted(experts.items())
    }
