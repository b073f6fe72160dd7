"""Exact magnitude thresholds in bounded memory: a two-level radix histogram over the bits.

The magnitudes of fp32 numbers order like their bits as integers. A first look counts the upper
half of the bits, which finds the bin of the wanted rank; a second look counts the lower half of
the entries in that bin, which gives the entry itself. Counts add up over chunks, shards and
threads, so the result is that of a complete sort whatever the order of the data. `use_kernels`
counts by compiled kernels, for tensors of the CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple

from mergescale.merging.ops.trim import Cutoff, count_to_keep, trivial_threshold
from mergescale.merging.statistics import FIRST

if TYPE_CHECKING:
    from torch import Tensor

    from mergescale.merging.statistics import MagnitudeThreshold

_LOW_BITS = 16
MAX_BINS = 6  # that are counted at once for an expert; each takes 512 kB in every thread
_LOW_BINS = 1 << _LOW_BITS
_HIGH_BINS = 1 << (31 - _LOW_BITS)


def _bits(values: Tensor) -> Tensor:
    """Magnitudes of fp32 numbers as int32, in the same order."""
    import torch

    return values.abs().view(torch.int32)


class RankPosition(NamedTuple):
    """An entry's magnitude, how many entries are larger, and how many just as large, itself one."""

    value: float
    larger: int
    equal: int

    def limit(self, rank: int, end: tuple[str, int] | None = None) -> Cutoff:
        """The cutoff of the `rank` largest entries; end: as in `Cutoff`, None for all ties."""
        equal = self.equal if end is None else rank - self.larger
        return Cutoff(self.value, end, self.larger + (equal if self.value else 0))


class CoarseHistogram:
    """First level: how many entries have each upper half."""

    def __init__(self, use_kernels: bool = False) -> None:
        import torch

        self.use_kernels = use_kernels
        self.counts = torch.zeros(_HIGH_BINS, dtype=torch.int64)

    def add(self, values: Tensor) -> None:
        """Count the entries of a 1-D fp32 tensor."""
        if self.use_kernels:
            from mergescale.merging.ops.kernels.quantile import count_upper

            return count_upper(values.numpy(), self.counts.numpy())
        self.counts += (_bits(values) >> _LOW_BITS).bincount(minlength=_HIGH_BINS)

    def merge(self, other: CoarseHistogram) -> None:
        """Add the counts of another thread."""
        self.counts += other.counts

    def find(self, rank: int) -> int:
        """The bin of the rank-th largest entry (from 1)."""
        return _of_rank(self.counts, rank)

    def near(self, rank: int) -> list[int]:
        """The bins in which an entry of about this rank may lie, largest first.

        For entries that are a sample of others: it may be off by chance (by the square root of the
        rank, three times over), and since blocks differ (half a percent).
        """
        off, entries = ceil(3 * sqrt(rank) + 0.005 * rank), int(self.counts.sum())
        largest = self.find(min(max(1, rank - off), entries))
        smallest = self.find(min(rank + off, entries))
        return [b for b in range(largest, smallest - 1, -1) if self.counts[b]]


class FineHistogram:
    """Second level: in some bins of the first, how many entries have each lower half.

    Those above each bin are counted too: so a rank is found in a bin without the first level.
    """

    def __init__(self, bins: Iterable[int], use_kernels: bool = False) -> None:
        import torch

        self.use_kernels = use_kernels
        self.bins = sorted(set(bins))
        self.above = torch.zeros(len(self.bins), dtype=torch.int64)
        self.counts = torch.zeros((len(self.bins), _LOW_BINS), dtype=torch.int64)

    def add(self, values: Tensor) -> None:
        """Count the entries of a 1-D fp32 tensor."""
        import numpy as np
        import torch

        if self.use_kernels:
            from mergescale.merging.ops.kernels.quantile import count_lower

            bins = np.array(self.bins, np.uint32)
            return count_lower(values.numpy(), bins, self.above.numpy(), self.counts.numpy())
        # Few entries lie in a bin: numpy picks them out several times faster than torch.
        bits = _bits(values).numpy()
        upper = bits >> _LOW_BITS
        for number, b in enumerate(self.bins):
            self.above[number] += np.count_nonzero(upper > b)
            inside = torch.from_numpy(bits[upper == b] & (_LOW_BINS - 1))
            self.counts[number] += inside.bincount(minlength=_LOW_BINS)

    def merge(self, other: FineHistogram) -> None:
        """Add the counts of another thread."""
        self.above += other.above
        self.counts += other.counts

    def value(self, rank: int) -> float | None:
        """The rank-th largest of all entries, if it lies in one of the bins."""
        found = self.place(rank)
        return found and found.value

    def place(self, rank: int) -> RankPosition | None:
        """The rank-th largest of all entries among the others, if it lies in one of the bins."""
        for b, above, counts in zip(self.bins, self.above.tolist(), self.counts, strict=True):
            if above < rank <= above + int(counts.sum()):
                low = _of_rank(counts, rank - above)
                larger = above + int(counts[low + 1 :].sum())
                return RankPosition(_magnitude(b << _LOW_BITS | low), larger, int(counts[low]))
        return None


def _of_rank(counts: Tensor, rank: int) -> int:
    """The place of the rank-th largest entry (from 1) in a histogram."""
    from_top = counts.flip(0).cumsum(0)
    return len(counts) - 1 - int((from_top >= rank).nonzero()[0])


def _magnitude(bits: int) -> float:
    """The fp32 number of these bits."""
    import torch

    return torch.tensor(bits, dtype=torch.int32).view(torch.float32).item()


def count_equal(values: Tensor, threshold: float, use_kernels: bool = False) -> int:
    """How many entries of a 1-D fp32 tensor have this magnitude."""
    import numpy as np

    if use_kernels:
        from mergescale.merging.ops.kernels.quantile import count_equal as count

        return count(values.numpy(), np.float32(threshold).view(np.uint32))
    return int(np.count_nonzero(np.abs(values.numpy()) == np.float32(threshold)))


def first_beyond(values: Tensor, threshold: float, room: int) -> int:
    """The index of the first entry of this magnitude after `room` of them; there are more."""
    return int((values.abs() == threshold).nonzero()[room])


def find_cutoff(task_vector: Mapping[str, Tensor], wish: MagnitudeThreshold) -> Cutoff:
    """The threshold of these tensors together; in memory."""
    (value,) = thresholds_of(list(task_vector.values()), [(wish.density, wish.rounding)])
    if wish.ties == FIRST and 0 < value < float("inf"):
        parts = {name: task_vector[name].reshape(-1) for name in sorted(task_vector)}
        elements = sum(part.numel() for part in parts.values())
        room = count_to_keep(elements, wish.density, wish.rounding)
        room -= sum(int((part.abs() > value).sum()) for part in parts.values())
        for name, part in parts.items():
            if (equal := count_equal(part, value)) > room:
                return Cutoff(value, (name, first_beyond(part, value, room)))
            room -= equal
    return Cutoff(value)


def thresholds_of(pieces: Sequence[Tensor], shares: Sequence[tuple[float, str]]) -> list[float]:
    """The exact threshold of `pieces` together at each share (density, rounding); in memory."""
    elements = sum(piece.numel() for piece in pieces)
    ranks = [count_to_keep(elements, density, rounding) for density, rounding in shares]
    found = {rank: trivial_threshold(elements, rank) for rank in ranks}
    wanted = [rank for rank, value in found.items() if value is None]
    if wanted:
        first = CoarseHistogram()
        for piece in pieces:
            first.add(piece.reshape(-1))
        second = FineHistogram(first.find(rank) for rank in wanted)
        for piece in pieces:
            second.add(piece.reshape(-1))
        found |= {rank: second.value(rank) for rank in wanted}
    return [found[rank] for rank in ranks]
