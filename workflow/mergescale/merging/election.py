"""Election of signs and disjoint mean (TIES, sections 3.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def disjoint_mean(deltas: Sequence[Tensor]) -> Tensor:
    """Per element: the mean of the entries whose sign is the elected one, 0 where there is none.

    The elected sign is that of the sum over experts. Where the sum is exactly zero it is positive:
    a rule that looks at nothing but the element, so that a merge by tensors or by chunks is the
    merge of the whole. An entry of 0 (trimmed or dropped) agrees with no sign and is not counted.
    deltas: one fp32 tensor per expert, all of one shape; returns that shape.
    """
    positive = sum(deltas) >= 0
    total, agreeing = 0, 0
    for delta in deltas:
        agrees = (delta > 0).eq(positive).logical_and_(delta != 0)
        total = total + delta * agrees
        agreeing = agreeing + agrees.to(delta.dtype)
    return total / agreeing.clamp_(min=1)
