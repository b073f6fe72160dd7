"""Election of signs and disjoint mean (TIES; Yadav et al., 2023, sections 3.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from mergescale.merging.ops.trim import SparseDelta
from mergescale.merging.ops.weighted_sum import data_pointers, times

if TYPE_CHECKING:
    from torch import Tensor

MEAN, SUM = "mean", "sum"
_CANCELED = 1e-6  # a sum of weights of both signs below this is rounding


@dataclass(frozen=True)
class Election:
    """An election of signs among experts, described here and computed when it is needed.

    The engine computes the elections of several merges together, in one reading of the deltas.

    Attributes:
        deltas: What trimming or dropping left of each expert's delta.
        weights: Each expert's factor, which also counts in the mean.
        aggregate: "mean" or "sum" of the entries that agree with the elected sign.
    """

    deltas: Sequence[SparseDelta]
    weights: Sequence[float]
    aggregate: str = MEAN

    def materialize(self) -> Tensor:
        """Return the elected task vector, fp32, 1-D."""
        weighted = [
            times(delta.materialize(), weight)
            for delta, weight in zip(self.deltas, self.weights, strict=True)
        ]
        return elect_signs_torch(weighted, self.weights, self.aggregate)


def elect_signs(
    deltas: Sequence[SparseDelta | Tensor],
    weights: Sequence[float],
    aggregate: str = MEAN,
) -> Election:
    """Elect the sign of each entry and aggregate the entries that agree with it.

    Args:
        deltas: One for each expert, from `trim`, `drop_and_rescale`, or fp32 tensors of one length.
        weights: Each expert's factor.
        aggregate: "mean" (of those that agree, TIES' disjoint mean) or "sum".

    Returns:
        What `Method.merge` may return in place of a tensor.
    """
    sparse = [d if isinstance(d, SparseDelta) else SparseDelta(d) for d in deltas]
    return Election(sparse, weights, aggregate)


def elect_signs_torch(
    deltas: Sequence[Tensor], weights: Sequence[float] = (), aggregate: str = MEAN
) -> Tensor:
    """Return, for each element, the mean (or sum) of the entries of the elected sign.

    The elected sign is that of the sum over experts. Where the sum is exactly 0 it is positive: a
    rule that depends on nothing but the element, so that a merge by blocks is the merge of the
    whole. An entry of 0 (trimmed or dropped) agrees with no sign and is not counted.

    Args:
        deltas: One fp32 tensor for each expert, all of one shape, already times its weight.
        weights: What each expert counts for in the mean; 1 by default.
        aggregate: "mean" or "sum".

    Returns:
        fp32, of the same shape; 0 where no expert agrees.
    """
    import torch

    weights = weights or [1.0] * len(deltas)
    sign = deltas[0] + deltas[1] if len(deltas) > 1 else deltas[0].clone()
    for delta in deltas[2:]:
        sign.add_(delta)
    sign.ge_(0).mul_(2).sub_(1)  # 1 where the elected sign is positive, else -1
    total = torch.mul(deltas[0], sign).clamp_(min=0)
    count = total.sign().mul_(weights[0]) if aggregate == MEAN else None
    agreeing = torch.empty_like(sign)
    for delta, weight in zip(deltas[1:], weights[1:], strict=True):
        torch.mul(delta, sign, out=agreeing).clamp_(min=0)
        total.add_(agreeing)
        if count is not None:
            count.add_(agreeing.gt_(0), alpha=weight)
    total.mul_(sign)
    if count is not None:
        min_weight = min(weights)
        if min_weight > 0:
            count.clamp_(min=min_weight)  # nothing to divide where no expert agrees
        else:
            count[count.abs() < _CANCELED] = 1  # nor where weights of both signs cancel
        total.div_(count)
    return total


def elect_signs_numba(elections: Sequence[Election]) -> list[Tensor]:
    """Return what each `Election.materialize` returns, bit for bit, by one compiled kernel.

    Each delta is read once, however many elections it takes part in.

    Raises:
        ValueError: Unless deltas are contiguous fp32 vectors of one length on the CPU, and masks as
            long: the kernel gets addresses only.
    """
    import numpy as np
    import torch

    from mergescale.merging.ops.kernels.elect import elect

    every = [delta for election in elections for delta in election.deltas]
    size = every[0].delta.numel()
    deltas = data_pointers([sparse.delta for sparse in every], size)
    for sparse in every:
        mask = sparse.mask
        if mask is not None and not (
            mask.dtype == bool and mask.shape == (size,) and mask.flags.c_contiguous
        ):
            raise ValueError(f"a mask must be a contiguous array of {size} booleans")
    weights = [weight for election in elections for weight in election.weights]
    min_weights = [min(election.weights) for election in elections]
    results = [torch.empty_like(every[0].delta) for _ in elections]
    elect(
        np.cumsum([0, *(len(election.deltas) for election in elections)]),
        deltas,
        np.array([sparse.threshold for sparse in every], np.float32).view(np.uint32),
        np.array([_tie_end(sparse, size) for sparse in every], np.int64),
        np.array([0 if s.mask is None else s.mask.ctypes.data for s in every], np.int64),
        np.array([sparse.keep_rate for sparse in every], np.float32),
        np.array(weights, np.float32),
        np.array([election.aggregate == MEAN for election in elections]),
        np.array(min_weights, np.float32).clip(min=0),
        data_pointers(results, size),
        size,
    )
    return results


def _tie_end(sparse: SparseDelta, size: int) -> int:
    """From which index on the kernel drops ties: `size` for nowhere."""
    trivial = sparse.threshold in (0, inf)
    return size if sparse.tie_end is None or trivial else sparse.tie_end


def materialize(merged: Any) -> Any:
    """Return what a method returned, or the result of the `Election` that it returned."""
    return merged.materialize() if isinstance(merged, Election) else merged


def materialize_all(merged: Sequence[Any]) -> list[Any]:
    """Return `materialize` of each, by one compiled kernel for all elections."""
    elections = [one for one in merged if isinstance(one, Election)]
    results = iter(elect_signs_numba(elections) if elections else ())
    return [next(results) if isinstance(one, Election) else one for one in merged]
