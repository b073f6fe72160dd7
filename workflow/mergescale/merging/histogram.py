"""Exact magnitude thresholds in bounded memory: a two-level radix histogram over the bits.

The magnitudes of fp32 numbers order like their bits as integers. A first look counts the upper
half of the bits, which finds the bin of the wanted rank; a second look counts the lower half of
the entries in that bin, which gives the entry itself. Counts add up over chunks, shards and
threads, so the result is that of a complete sort whatever the order of the data. `compiled` counts
by compiled loops, for tensors of the CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mergescale.merging.threshold import kept_count

if TYPE_CHECKING:
    from torch import Tensor

_LOW_BITS = 16
_LOW_BINS = 1 << _LOW_BITS
_HIGH_BINS = 1 << (31 - _LOW_BITS)


def _bits(values: Tensor) -> Tensor:
    """Magnitudes of fp32 numbers as int32, in the same order."""
    import torch

    return values.abs().view(torch.int32)


class UpperHalves:
    """First level: how many entries have each upper half."""

    def __init__(self, compiled: bool = False) -> None:
        import torch

        self.compiled = compiled
        self.counts = torch.zeros(_HIGH_BINS, dtype=torch.int64)

    def add(self, values: Tensor) -> None:
        """Count the entries of a 1-D fp32 tensor."""
        if self.compiled:
            from mergescale.merging.compiled.histogram import count_upper

            return count_upper(values.numpy(), self.counts.numpy())
        self.counts += (_bits(values) >> _LOW_BITS).bincount(minlength=_HIGH_BINS)

    def merge(self, other: UpperHalves) -> None:
        """Add the counts of another thread."""
        self.counts += other.counts

    def find(self, density: float, rounding: str = "up") -> tuple[int, int] | float:
        """The bin of the kept_count-th largest entry, and which entry of the bin it is (from 1).

        The threshold itself where no second look is needed: 0.0 keeps everything, infinity nothing.
        """
        elements = int(self.counts.sum())
        keep = kept_count(elements, density, rounding)
        if keep in (0, elements):
            return 0.0 if keep == elements else float("inf")
        from_top = self.counts.flip(0).cumsum(0)
        place = int((from_top >= keep).nonzero()[0])
        above = int(from_top[place - 1]) if place else 0
        return _HIGH_BINS - 1 - place, keep - above


class LowerHalves:
    """Second level: in some bins of the first, how many entries have each lower half."""

    def __init__(self, bins: Iterable[int], compiled: bool = False) -> None:
        import torch

        self.compiled = compiled
        self.counts = {b: torch.zeros(_LOW_BINS, dtype=torch.int64) for b in sorted(set(bins))}

    def add(self, values: Tensor) -> None:
        """Count the entries of a 1-D fp32 tensor that lie in one of the bins."""
        import numpy as np
        import torch

        if self.compiled:
            from mergescale.merging.compiled.histogram import count_lower

            for b, counts in self.counts.items():
                count_lower(values.numpy(), np.uint32(b), counts.numpy())
            return
        # Few entries lie in a bin: numpy picks them out several times faster than torch.
        bits = _bits(values).numpy()
        upper = bits >> _LOW_BITS
        inside = np.logical_or.reduce([upper == b for b in self.counts])
        upper, lower = upper[inside], bits[inside] & (_LOW_BINS - 1)
        for b, counts in self.counts.items():
            found = lower[upper == b]
            if found.size:
                counts += torch.from_numpy(found).bincount(minlength=_LOW_BINS)

    def merge(self, other: LowerHalves) -> None:
        """Add the counts of another thread."""
        for b, counts in other.counts.items():
            self.counts[b] += counts

    def value(self, b: int, rank: int) -> float:
        """The rank-th largest entry of a bin, as the magnitude that it is."""
        import torch

        from_top = self.counts[b].flip(0).cumsum(0)
        low = _LOW_BINS - 1 - int((from_top >= rank).nonzero()[0])
        return torch.tensor(b << _LOW_BITS | low, dtype=torch.int32).view(torch.float32).item()


def thresholds_of(pieces: Sequence[Tensor], shares: Sequence[tuple[float, str]]) -> list[float]:
    """The exact threshold of `pieces` together at each share (density, rounding); in memory."""
    first = UpperHalves()
    for piece in pieces:
        first.add(piece.reshape(-1))
    places = [first.find(density, rounding) for density, rounding in shares]
    second = LowerHalves(place[0] for place in places if isinstance(place, tuple))
    if second.counts:
        for piece in pieces:
            second.add(piece.reshape(-1))
    return [second.value(*place) if isinstance(place, tuple) else place for place in places]
