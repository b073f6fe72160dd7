"""Election of signs and disjoint mean (TIES, sections 3.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MEAN, SUM = "mean", "sum"
_CANCELLED = 1e-6  # a sum of weights of both signs below this is rounding


def elected(
    deltas: Sequence[Tensor],
    weights: Sequence[float] = (),
    aggregate: str = MEAN,
    compiled: bool = False,
) -> Tensor:
    """Per element: the mean (or sum) of the entries whose sign is the elected one, else 0.

    The elected sign is that of the sum over experts. Where the sum is exactly zero it is positive:
    a rule that looks at nothing but the element, so that a merge by tensors or by chunks is the
    merge of the whole. An entry of 0 (trimmed or dropped) agrees with no sign and is not counted.

    deltas: one fp32 tensor per expert, all of one shape, already times its weight. weights: what
    each counts for in the mean; 1 by default. compiled: by the compiled loop, for contiguous
    tensors of the CPU; the bits are the same. Returns a tensor of that shape.
    """
    import torch

    weights = weights or [1.0] * len(deltas)
    if compiled:
        return _elected_by_a_loop(deltas, weights, aggregate)
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


def _elected_by_a_loop(
    deltas: Sequence[Tensor], weights: Sequence[float], aggregate: str
) -> Tensor:
    import numpy as np
    import torch

    from mergescale.merging.compiled.election import elect

    made = torch.empty_like(deltas[0])
    elect(
        np.array([delta.data_ptr() for delta in deltas], np.int64),
        np.array(weights, np.float32),
        aggregate == MEAN,
        np.float32(max(0.0, min(weights))),
        made.numpy(),
    )
    return made
