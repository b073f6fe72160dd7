"""Exact magnitude thresholds: which entries of a task vector are its largest ones."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def kept_count(elements: int, density: float, rounding: str = "up") -> int:
    """How many of `elements` the share `density` means: rounded up or down.

    Rounded up, the density is taken as the decimal it is written as: 0.1 of 30 is 3, in binary or
    not; any share above 0 is at least one. The other roundings are there to do as public packages
    do, and multiply in binary as these: "down", and "at_least_one" where down is not to be nothing.
    Raises ValueError unless 0 <= density <= 1.
    """
    if not 0 <= density <= 1:
        raise ValueError(f"density is {density}, allowed is a number from 0 to 1")
    if rounding == "up":
        return ceil(Fraction(str(density)) * elements)
    down = floor(density * elements)
    return down if rounding == "down" else max(down, min(1, elements))


def certain(elements: int, keep: int) -> float | None:
    """The threshold that keeps all entries, 0.0, or none, infinity; None in between."""
    if keep == elements:
        return 0.0
    return float("inf") if keep == 0 else None


def trim(delta: Tensor, threshold: float) -> Tensor:
    """`delta` with every entry of a magnitude below the threshold set to 0; ties are kept."""
    import numpy as np
    import torch
    from torch.nn.functional import hardshrink

    if threshold == 0:
        return delta
    if threshold == float("inf"):
        return torch.zeros_like(delta)
    # hardshrink keeps what is above its limit: the fp32 number next below the threshold.
    return hardshrink(delta, float(np.nextafter(np.float32(threshold), np.float32(0))))
