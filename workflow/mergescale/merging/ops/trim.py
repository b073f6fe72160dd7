"""Trimming: keep the entries of a task vector with the largest magnitudes (TIES, section 3.1).

A `Cutoff` says where the largest entries of a whole task vector end, a `BlockCutoff` what that
means for one block. `trim` describes what a block is left with as a `SparseDelta`, which a kernel
or `SparseDelta.materialize` computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class BlockCutoff(NamedTuple):
    """A `Cutoff` as it applies to one block.

    Attributes:
        threshold: Entries of a smaller magnitude are not kept.
        tie_end: Index in the block from which on ties with the threshold are not kept either;
            None where all ties are kept.
    """

    threshold: float
    tie_end: int | None = None


@dataclass(frozen=True)
class Cutoff:
    """Where the largest entries of a task vector end.

    Attributes:
        threshold: The smallest magnitude among them.
        tie_end: The location (tensor, flat index) from which on ties with the threshold are not
            among them, in order of tensor names; None where all ties are.
        num_kept: How many entries there are, zeros not counted unless all entries are kept; None
            where they were not counted.
    """

    threshold: float
    tie_end: tuple[str, int] | None = None
    num_kept: int | None = None

    def in_block(self, tensor: str, start: int, size: int) -> BlockCutoff:
        """Return this cutoff for the `size` elements of `tensor` from flat index `start` on."""
        if self.tie_end is None or tensor < self.tie_end[0]:
            return BlockCutoff(self.threshold)
        last_tensor, index = self.tie_end
        end = min(max(index - start, 0), size) if tensor == last_tensor else 0
        return BlockCutoff(self.threshold, end)


@dataclass(frozen=True)
class SparseDelta:
    """What trimming or dropping leaves of a delta: described here, computed when it is needed.

    Attributes:
        delta: An expert's delta, fp32, 1-D.
        threshold: Entries of a smaller magnitude become 0 (TIES).
        tie_end: So do, from this index on, entries that tie with the threshold; None: none of them.
        mask: Entries where this is False become 0 (DARE); bool, as long as the delta.
        keep_rate: The remaining entries are divided by this (DARE).
    """

    delta: Tensor
    threshold: float = 0.0
    tie_end: int | None = None
    mask: np.ndarray | None = None
    keep_rate: float = 1.0

    def materialize(self) -> Tensor:
        """Return the entries, fp32, 1-D. They may share the delta's memory: do not change them."""
        import torch

        entries = zero_below(self.delta, self.threshold, self.tie_end)
        if self.mask is not None:
            # As bytes: torch turns those into numbers several times faster than booleans.
            ones = torch.from_numpy(self.mask.view("int8")).to(entries.device).to(entries.dtype)
            entries = ones.mul_(entries).div_(self.keep_rate)
        return entries


def trim(delta: Tensor, cutoff: BlockCutoff) -> SparseDelta:
    """Keep the entries of an expert's delta that reach a cutoff (TIES, section 3.1).

    Args:
        delta: fp32, 1-D.
        cutoff: One of `block.statistics[...]` for a `MagnitudeThreshold`.
    """
    return SparseDelta(delta, cutoff.threshold, cutoff.tie_end)


def zero_below(delta: Tensor, threshold: float, tie_end: int | None = None) -> Tensor:
    """Return `delta` with every entry of a magnitude below the threshold set to 0.

    Args:
        delta: fp32.
        threshold: 0 returns `delta` itself, infinity zeros.
        tie_end: Ties with the threshold become 0 from this index of a 1-D `delta` on; by default
            they are kept. Without effect where the threshold is 0.
    """
    import numpy as np
    import torch
    from torch.nn.functional import hardshrink

    if threshold == 0:
        return delta
    if threshold == inf:
        return torch.zeros_like(delta)
    # hardshrink keeps what is above its limit: the fp32 number next below the threshold.
    kept = hardshrink(delta, float(np.nextafter(np.float32(threshold), np.float32(0))))
    if tie_end is not None:
        kept[tie_end:] = hardshrink(delta[tie_end:], threshold)
    return kept


def count_to_keep(elements: int, density: float, rounding: str = "up") -> int:
    """Return how many of `elements` the fraction `density` stands for.

    Args:
        elements: The number of entries.
        density: A fraction in [0, 1].
        rounding: "up" takes the density as the decimal that it is written as: 0.1 of 30 is 3, in
            binary or not, and any density above 0 keeps at least one. "down" and "at_least_one"
            (down, but not to 0) multiply in binary, as mergekit and peft do.

    Raises:
        ValueError: If density is not in [0, 1].
    """
    if not 0 <= density <= 1:
        raise ValueError(f"density is {density}, must be in [0, 1]")
    if rounding == "up":
        return ceil(Fraction(str(density)) * elements)
    down = floor(density * elements)
    return down if rounding == "down" else max(down, min(1, elements))


def trivial_threshold(elements: int, num_kept: int) -> float | None:
    """Return the threshold that keeps all entries (0) or none (infinity), else None."""
    if num_kept == elements:
        return 0.0
    return inf if num_kept == 0 else None
