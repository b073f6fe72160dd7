"""What a method merges: a block of one tensor, of every expert at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mergescale.merging.ops.mask import RandomNumbers
from mergescale.merging.ops.weighted_sum import times, weighted_sum, weighted_sum_numba

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass
class DeltaBlock:
    """Elements `start`, `start + 1`, ... (flat indices) of one tensor, of the base and all experts.

    Methods share the tensors of a block and must not change them.

    Attributes:
        tensor: The tensor's name.
        shape: The shape of the whole tensor. A method of granularity "matrix" always gets whole
            tensors and may `view` a delta in this shape.
        start: Flat index of the first element.
        experts: Names, sorted: the order of everything that has one entry for each expert.
        deltas: W_i - W0 of each expert, fp32, 1-D.
        base: W0, fp32, 1-D.
        weights: Each expert's factor; 1 unless the recipe sets it.
        parameters: Each expert's parameters, as they apply to this tensor.
        seed: Of methods that draw random numbers, else None.
        use_kernels: Whether compiled kernels take the place of torch where there are any; the bits
            are the same.
        statistics: What `Method.requires` named: under the same names, a list of `BlockCutoff`s
            (one for each expert) for a `MagnitudeThreshold`, a float64 tensor for a `TensorSum`, a
            list of fp32, 1-D tensors (one for each expert) for a `StatisticsFile`.
        shared: Intermediate results that several methods have in common.
    """

    tensor: str
    shape: tuple[int, ...]
    start: int
    experts: Sequence[str]
    deltas: Sequence[Tensor]
    base: Tensor
    weights: Sequence[float]
    parameters: Sequence[Mapping[str, Any]] = ()
    seed: int | None = None
    use_kernels: bool = False
    statistics: Mapping[str, Any] = field(default_factory=dict)
    shared: dict[Any, Any] = field(default_factory=dict)

    def weighted(self) -> list[Tensor]:
        """Return each expert's delta times its weight."""
        return [times(delta, w) for delta, w in zip(self.deltas, self.weights, strict=True)]

    def weighted_sum(self) -> Tensor:
        """Return the sum of `weighted()`. Methods share it: do not change it."""
        key = tuple(zip(self.experts, self.weights, strict=True))
        if key not in self.shared:
            add_up = weighted_sum_numba if self.use_kernels else weighted_sum
            self.shared[key] = add_up(self.deltas, self.weights)
        return self.shared[key]

    def bernoulli_mask(self, expert_index: int, drop_rate: float) -> np.ndarray:
        """Return DARE's mask of an expert: bool, True with probability 1 - drop_rate."""
        expert = self.experts[expert_index]
        key = (self.seed, expert)
        if key not in self.shared:
            stop = self.start + len(self.base)
            self.shared[key] = RandomNumbers(
                self.seed, expert, self.tensor, self.start, stop, self.use_kernels
            )
        return self.shared[key].mask(drop_rate)

    def split(self, elements: int) -> list[DeltaBlock]:
        """Return this block in parts of so many elements, without statistics."""
        return [
            replace(
                self,
                start=self.start + at,
                deltas=[delta[at : at + elements] for delta in self.deltas],
                base=self.base[at : at + elements],
                statistics={},
                shared={},  # the whole block's results are not those of a part
            )
            for at in range(0, len(self.base), elements)
        ]


def check_tau(method: str, tau: Any, base: Tensor) -> None:
    """Check that a method returned an fp32 number for each element of a block.

    Raises:
        ValueError: It did not.
    """
    import torch

    if not isinstance(tau, torch.Tensor):
        raise ValueError(f"{method}: merge returned {type(tau).__name__}, not a tensor")
    if tau.shape != base.shape or tau.dtype != torch.float32:
        raise ValueError(
            f"{method}: merge returned {str(tau.dtype).removeprefix('torch.')} of shape "
            f"{tuple(tau.shape)}, not float32 of {tuple(base.shape)}"
        )
