"""Election of signs and disjoint mean (TIES, sections 3.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mergescale.merging.ops.weighted_sum import addresses_of

if TYPE_CHECKING:
    from torch import Tensor

    from mergescale.merging.ops.sparse_delta import SparseDelta

MEAN, SUM = "mean", "sum"
_CANCELLED = 1e-6  # a sum of weights of both signs below this is rounding


@dataclass(frozen=True)
class Election:
    """What a method returns that elects signs: the engine's loop holds several at once.

    entries: the experts', whose weights count in the mean. aggregate: the mean or the sum of those
    that agree.
    """

    entries: Sequence[SparseDelta]
    aggregate: str = MEAN

    def tensor(self) -> Tensor:
        """The elected task vector, fp32, 1-D."""
        weights = [entry.weight for entry in self.entries]
        return elected([entry.tensor() for entry in self.entries], weights, self.aggregate)


def elected(
    deltas: Sequence[Tensor],
    weights: Sequence[float] = (),
    aggregate: str = MEAN,
) -> Tensor:
    """Per element: the mean (or sum) of the entries whose sign is the elected one, else 0.

    The elected sign is that of the sum over experts. Where the sum is exactly zero it is positive:
    a rule that looks at nothing but the element, so that a merge by tensors or by chunks is the
    merge of the whole. An entry of 0 (trimmed or dropped) agrees with no sign and is not counted.

    deltas: one fp32 tensor per expert, all of one shape, already times its weight. weights: what
    each counts for in the mean; 1 by default. Returns a tensor of that shape.
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
        least = min(weights)
        if least > 0:
            count.clamp_(min=least)  # nothing to divide where nobody agrees
        else:
            count[count.abs() < _CANCELLED] = 1  # nor where weights of both signs cancel
        total.div_(count)
    return total


def elect_signs_numba(elections: Sequence[Election]) -> list[Tensor]:
    """What each `Election.tensor` returns, by one compiled loop for all: the same bits.

    Task vectors are contiguous fp32 vectors of the CPU, read once however many elections they are
    in. Raises ValueError unless they, and masks, are of one length: the loop looks at addresses
    only.
    """
    import numpy as np
    import torch

    from mergescale.merging.ops.kernels.elect import elect

    every = [entry for election in elections for entry in election.entries]
    size = every[0].delta.numel()
    deltas = addresses_of([entry.delta for entry in every], size)
    for entry in every:
        kept = entry.kept
        if kept is not None and not (
            kept.dtype == bool and kept.shape == (size,) and kept.flags.c_contiguous
        ):
            raise ValueError("what is kept of a task vector is told by as many booleans")
    least = [min(entry.weight for entry in election.entries) for election in elections]
    made = [torch.empty_like(every[0].delta) for _ in elections]
    elect(
        np.cumsum([0, *(len(election.entries) for election in elections)]),
        deltas,
        np.array([entry.smallest for entry in every], np.float32).view(np.uint32),
        np.array([_until(entry, size) for entry in every], np.int64),
        np.array([0 if e.kept is None else e.kept.ctypes.data for e in every], np.int64),
        np.array([entry.share for entry in every], np.float32),
        np.array([entry.weight for entry in every], np.float32),
        np.array([election.aggregate == MEAN for election in elections]),
        np.array(least, np.float32).clip(min=0),
        addresses_of(made, size),
        size,
    )
    return made


def _until(entry: SparseDelta, size: int) -> int:
    """Where the loop is to leave out what equals the threshold: the end for nowhere."""
    return size if entry.until is None or entry.smallest in (0, float("inf")) else entry.until


def materialize(made: Any) -> Any:
    """What a method returned, or the result of the `Election` that it returned."""
    return made.tensor() if isinstance(made, Election) else made


def materialize_all(made: Sequence[Any]) -> list[Any]:
    """`materialize` of each, by one compiled loop for all elections."""
    elections = [one for one in made if isinstance(one, Election)]
    results = iter(elect_signs_numba(elections) if elections else ())
    return [next(results) if isinstance(one, Election) else one for one in made]
