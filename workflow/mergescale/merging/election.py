"""Election of signs and disjoint mean (TIES, sections 3.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mergescale.merging.weighted_sum import addresses_of

if TYPE_CHECKING:
    from torch import Tensor

    from mergescale.merging.entries import Entries

MEAN, SUM = "mean", "sum"
_CANCELLED = 1e-6  # a sum of weights of both signs below this is rounding


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


def elected_by_a_loop(entries: Sequence[Entries], aggregate: str = MEAN) -> Tensor:
    """`elected` of `Entries`, whose weights count, by a compiled loop: the same bits.

    Task vectors are contiguous fp32 tensors of the CPU. Raises ValueError unless they, and masks,
    are that and of one length: the loop looks at addresses only.
    """
    import numpy as np
    import torch

    from mergescale.merging.compiled.election import elect

    size = entries[0].delta.numel()
    deltas = addresses_of([entry.delta for entry in entries], size)
    for entry in entries:
        kept = entry.kept
        if kept is not None and (kept.dtype != bool or kept.shape != (size,)):
            raise ValueError("what is kept of a task vector is told by as many booleans")
    masks = [0 if entry.kept is None else entry.kept.ctypes.data for entry in entries]
    weights = [entry.weight for entry in entries]
    made = torch.empty_like(entries[0].delta)
    elect(
        deltas,
        np.array([entry.smallest for entry in entries], np.float32).view(np.uint32),
        np.array(masks, np.int64),
        np.array([entry.share for entry in entries], np.float32),
        np.array(weights, np.float32),
        aggregate == MEAN,
        np.float32(max(0.0, min(weights))),
        made.numpy(),
    )
    return made
