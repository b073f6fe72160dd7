"""What a method reduces: some elements of one tensor, of every expert at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mergescale.merging.ops.mask import RandomNumbers
from mergescale.merging.ops.weighted_sum import times, weighted_sum, weighted_sum_numba

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from mergescale.merging.ops.trim import Cutoff


@dataclass
class DeltaBlock:
    """Elements `start`, `start + 1`, ... (flat indices) of the tensor called `tensor`.

    Attributes:
        tensor: the tensor's name.
        start: flat index of the first element.
        experts: names, sorted: the order of everything that is one for each expert.
        deltas: W_i - W0 of each expert, fp32, 1-D; not to be changed, since methods share them.
        base: W0, fp32, 1-D; not to be changed.
        weights: the factor of each expert; 1 unless the recipe says so.
        settings: each expert's parameters: the recipe's, but for what it sets for one expert.
        seed: of methods that draw at random.
        compiled: whether compiled loops take the place of torch where there are any.
    """

    tensor: str
    start: int
    experts: Sequence[str]
    deltas: Sequence[Tensor]
    base: Tensor
    weights: Sequence[float]
    settings: Sequence[Mapping[str, Any]] = ()
    seed: int | None = None
    compiled: bool = False
    thresholds: Mapping[str, Sequence[Cutoff]] = field(default_factory=dict)
    sums: Mapping[str, Tensor] = field(default_factory=dict)
    # What methods of one pass have in common and need not compute twice.
    shared: dict[Any, Any] = field(default_factory=dict)

    def of_experts(self, name: str) -> Sequence[float]:
        """The thresholds that `prepare` asked for under this name."""
        return [cutoff.threshold for cutoff in self.thresholds[name]]

    def until(self, name: str) -> Sequence[int | None]:
        """From which index on entries that equal these thresholds are not among the largest.

        None: they all are, as with any threshold that does not ask for the first ones.
        """
        size = len(self.base)
        return [
            cutoff.tie_end_in(self.tensor, self.start, size) for cutoff in self.thresholds[name]
        ]

    def of_tensor(self, name: str) -> Tensor:
        """The sum over this tensor that `prepare` asked for under this name; float64."""
        return self.sums[name]

    def weighted(self) -> list[Tensor]:
        """The task vectors times the experts' weights."""
        return [times(delta, w) for delta, w in zip(self.deltas, self.weights, strict=True)]

    def weighted_sum(self) -> Tensor:
        """The sum of `weighted()`; not to be changed, since methods share it."""
        key = tuple(zip(self.experts, self.weights, strict=True))
        if key not in self.shared:
            add_up = weighted_sum_numba if self.compiled else weighted_sum
            self.shared[key] = add_up(self.deltas, self.weights)
        return self.shared[key]

    def bernoulli_mask(self, number: int, drop: float) -> np.ndarray:
        """DARE's mask of the number-th expert: bool, True with probability 1 - drop."""
        expert = self.experts[number]
        key = (self.seed, expert)
        if key not in self.shared:
            stop = self.start + len(self.base)
            self.shared[key] = RandomNumbers(
                self.seed, expert, self.tensor, self.start, stop, self.compiled
            )
        return self.shared[key].kept(drop)
