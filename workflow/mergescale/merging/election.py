"""Election of signs and disjoint mean (TIES, sections 3.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MEAN, SUM = "mean", "sum"


def elected(
    deltas: Sequence[Tensor], weights: Sequence[float] = (), aggregate: str = MEAN
) -> Tensor:
    """Per element: the mean (or sum) of the entries whose sign is the elected one, else 0.

    The elected sign is that of the sum over experts. Where the sum is exactly zero it is positive:
    a rule that looks at nothing but the element, so that a merge by tensors or by chunks is the
    merge of the whole. An entry of 0 (trimmed or dropped) agrees with no sign and is not counted.

    deltas: one fp32 tensor per expert, all of one shape, already times its weight. weights: what
    each counts for in the mean; 1 by default. Returns a tensor of that shape.
    """
    sign = deltas[0].clone()
    for delta in deltas[1:]:
        sign.add_(delta)
    sign.ge_(0).mul_(2).sub_(1)  # 1 where the elected sign is positive, else -1
    total, count = deltas[0].new_zeros(sign.shape), deltas[0].new_zeros(sign.shape)
    for delta, weight in zip(deltas, weights or [1.0] * len(deltas), strict=True):
        agreeing = (delta * sign).clamp_(min=0)
        total.add_(agreeing)
        if aggregate == MEAN:
            count.add_(agreeing.gt_(0), alpha=weight)
    total.mul_(sign)
    if aggregate == MEAN:
        total.div_(count.add_(count.eq(0)))  # nothing to divide where nobody agrees
    return total
