"""Describes a merged model (method, experts, parameters, output) and batches several of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from mergescale.merging.engine.memory import method_bytes, temporary_bytes
from mergescale.merging.method import Method
from mergescale.merging.parameters import TensorParameter, as_json, depends_on_tensor, resolve
from mergescale.merging.statistics import MagnitudeThreshold, Statistic

# Bytes per element of a block: a task vector, a sum that linear methods share, and for each expert
# a mask of DARE or EMR and random numbers.
_TAU, _SUM, _MASK, _RANDOM_NUMBER = 4, 4, 1, 2


class TensorSettings(NamedTuple):
    """A merge's settings in one tensor.

    Attributes:
        parameters: The method's parameters, without lambda.
        expert_parameters: Those of each expert, with its overrides.
        weights: Each expert's weight.
        statistics: What the method requires of each expert: {name: statistic}.
    """

    parameters: dict[str, Any]
    expert_parameters: list[dict[str, Any]]
    weights: list[float]
    statistics: list[dict[str, Statistic]]


@dataclass(frozen=True)
class Merge:
    """One merged model that the engine makes.

    Attributes:
        folder: The new folder.
        method: A method of the registry.
        experts: Names of its experts.
        lam: Lambda, the factor of the merged task vector.
        parameters: All of the method's parameters but lambda; a value may depend on the tensor.
        overrides: {expert: parameters in which it differs}.
        weights: {expert: weight}; 1 for an expert that is not named.
        seed: For methods that draw random numbers.
        dtype: Of the output: float32, bfloat16 or float16.
        shard_bytes: Bytes in one file at most.
        statistics_files: {expert: {statistic: safetensors file}}.
    """

    folder: Path
    method: Method
    experts: tuple[str, ...]
    lam: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    weights: Mapping[str, float | TensorParameter] = field(default_factory=dict)
    seed: int | None = None
    dtype: str = "float32"
    shard_bytes: int = 5_000_000_000
    statistics_files: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)

    @property
    def whole_tensors(self) -> bool:
        """Whether the method needs each tensor as a whole."""
        return self.method.granularity == "matrix"

    @cached_property
    def expert_parameters(self) -> list[dict[str, Any]]:
        """Each expert's parameters; a value may depend on the tensor."""
        return [{**self.parameters, **self.overrides.get(expert, {})} for expert in self.experts]

    @cached_property
    def depends_on_tensor(self) -> bool:
        """Whether a parameter or a weight depends on the tensor."""
        return any(map(depends_on_tensor, [*self.expert_parameters, self.weights]))

    def in_tensor(self, tensor: str) -> TensorSettings:
        """The settings in the tensor of this name."""
        key = tensor if self.depends_on_tensor else ""
        if key not in self._in_tensor:
            experts = [resolve(own, tensor) for own in self.expert_parameters]
            weights = resolve(self.weights, tensor)
            self._in_tensor[key] = TensorSettings(
                resolve(self.parameters, tensor),
                experts,
                [weights.get(expert, 1.0) for expert in self.experts],
                [self.method.required_statistics(own) for own in experts],
            )
        return self._in_tensor[key]

    def check_tensors(self, tensors: Iterable[str]) -> None:
        """Check settings that depend on the tensor against the names of a model's tensors.

        Raises:
            ValueError: A filter matches no tensor, the weights of a tensor cancel out, or a
                threshold of the whole model would differ between tensors.
        """
        if not self.depends_on_tensor:
            return
        names = list(tensors)
        for given in (*self.expert_parameters, self.weights):
            for name, value in given.items():
                if isinstance(value, TensorParameter) and (unused := value.unused(names)):
                    raise ValueError(f"{name}: the filter {unused[0]!r} matches no tensor")
        whole: dict[tuple[str, str], MagnitudeThreshold] = {}
        for tensor in names:
            settings = self.in_tensor(tensor)
            try:
                self.method.check_weights(settings.weights)
            except ValueError as error:
                raise ValueError(f"{error} in tensor {tensor}") from None
            for expert, required in zip(self.experts, settings.statistics, strict=True):
                for name, spec in required.items():
                    if isinstance(spec, MagnitudeThreshold) and spec.scope == "model":
                        if whole.setdefault((expert, name), spec) != spec:
                            raise ValueError(
                                f"{self.method.name}: density by tensor needs trim_scope: tensor, "
                                "since with trim_scope: model one threshold holds in all tensors"
                            )

    @cached_property
    def tau_key(self) -> str:
        """Equal for merges with the same task vector, which differ in lambda or dtype only."""
        return json.dumps(
            [
                self.method.name,
                self.experts,
                [as_json(own) for own in self.expert_parameters],
                list(as_json({e: self.weights.get(e, 1.0) for e in self.experts}).values()),
                self.seed,
                {e: {n: str(f) for n, f in of.items()} for e, of in self.statistics_files.items()},
            ],
            sort_keys=True,
        )

    @cached_property
    def _in_tensor(self) -> dict[str, TensorSettings]:
        return {}


def statistics_files(merges: Sequence[Merge]) -> dict[tuple[str, str], Path]:
    """The statistics files of all merges: {(expert, statistic): file}."""
    return {
        (expert, statistic): file
        for merge in merges
        for expert, of in merge.statistics_files.items()
        for statistic, file in of.items()
    }


def batch_merges(merges: Sequence[Merge], experts: int) -> list[list[list[int]]]:
    """Group merges so that those computed together fit the memory of `method_bytes`.

    The task vectors, sums, masks and random numbers of a batch are in memory at the same time,
    beside what one formula needs. Merges with the same seed are neighbors, since they share random
    numbers.

    Args:
        merges: The merges.
        experts: Number of experts of the pass.

    Returns:
        Batches; each has lists of the numbers of merges that share a task vector.
    """
    same_tau: dict[str, list[int]] = {}
    for number, merge in enumerate(merges):
        same_tau.setdefault(merge.tau_key, []).append(number)
    batches: list[list[list[int]]] = []
    budget = method_bytes(experts) - temporary_bytes(experts)
    used, shared = budget, set()
    for numbers in sorted(same_tau.values(), key=lambda own: merges[own[0]].seed or 0):
        own, sharable = _bytes_held(merges[numbers[0]], experts)
        fresh = {key: size for key, size in sharable.items() if key not in shared}
        if used + own + sum(fresh.values()) > budget:
            batches.append([])
            used, shared, fresh = 0, set(), sharable
        used += own + sum(fresh.values())
        shared |= fresh.keys()
        batches[-1].append(numbers)
    return batches


def _bytes_held(merge: Merge, experts: int) -> tuple[int, dict[Any, int]]:
    """Bytes per element that a merge holds by itself, and {what merges may share: bytes}."""
    random = merge.method.stochastic
    masked = random or merge.method.masks is not None
    weights = tuple(merge.weights.get(expert, 1.0) for expert in merge.experts)
    sharable: dict[Any, int] = {(merge.experts, weights): _SUM}
    if random:
        sharable[merge.seed] = _RANDOM_NUMBER * experts
    return _TAU + _MASK * len(merge.experts) * masked, sharable
