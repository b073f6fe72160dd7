"""Exact magnitude thresholds: which entries of a task vector are its largest ones."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Cutoff:
    """Which entries of a task vector are its largest ones.

    Attributes:
        threshold: The smallest magnitude among the largest entries.
        tie_end: (tensor, flat index) from which on entries that tie with the threshold are not
            kept, in order of the tensors' names; None where all ties are kept.
        num_kept: How many entries are kept, without zeros unless all entries are; None where
            nobody has counted.
    """

    threshold: float
    tie_end: tuple[str, int] | None = None
    num_kept: int | None = None

    def tie_end_in(self, tensor: str, start: int, size: int) -> int | None:
        """`trim`'s `tie_end` for the `size` elements of a tensor from `start` on."""
        if self.tie_end is None or tensor < self.tie_end[0]:
            return None
        last, index = self.tie_end
        return min(max(index - start, 0), size) if tensor == last else 0


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


def trim(delta: Tensor, threshold: float, tie_end: int | None = None) -> Tensor:
    """`delta` with every entry of a magnitude below the threshold set to 0; ties are kept.

    tie_end: ties are kept only up to this index of a 1-D `delta`; where the threshold is 0 they are all the same.
    """
    import numpy as np
    import torch
    from torch.nn.functional import hardshrink

    if threshold == 0:
        return delta
    if threshold == float("inf"):
        return torch.zeros_like(delta)
    # hardshrink keeps what is above its limit: the fp32 number next below the threshold.
    left = hardshrink(delta, float(np.nextafter(np.float32(threshold), np.float32(0))))
    if tie_end is not None:
        left[tie_end:] = hardshrink(delta[tie_end:], threshold)
    return left
