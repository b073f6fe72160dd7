"""Exact magnitude thresholds in bounded memory: a two-level radix histogram over the bits.

The magnitudes of fp32 numbers sort like their bits as integers. A first pass counts the upper half
of the bits, which finds the bin of a rank; a second pass counts the lower half of the entries in
that bin, which gives the entry itself. Counts add up over blocks, shards and threads, so the result
is that of a complete sort, whatever the order of the data. `use_kernels`
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
MAX_BINS = 6  # fine bins counted in one pass for an expert; each takes 512 kB in every thread
_LOW_BINS = 1 << _LOW_BITS
_HIGH_BINS = 1 << (31 - _LOW_BITS)


def _bits(values: Tensor) -> Tensor:
    """Magnitudes of fp32 numbers as int32, in the same order."""
    import torch

    return values.abs().view(torch.int32)


class RankPosition(NamedTuple):
    """An entry's position among the magnitudes of a task vector.

    Attributes:
        value: Its magnitude.
        larger: How many entries are larger.
        equal: How many have the same magnitude, itself included.
    """

    value: float
    larger: int
    equal: int

    def cutoff(self, rank: int, end: tuple[str, int] | None = None) -> Cutoff:
        """Return the cutoff of the `rank` largest entries; `end` is its `tie_end`."""
        equal = self.equal if end is None else rank - self.larger
        return Cutoff(self.value, end, self.larger + (equal if self.value else 0))


class CoarseHistogram:
    """First level: counts the entries with each upper half.

    Args:
        use_kernels: Count by a compiled kernel.
    """

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
        """Return the bin of the rank-th largest entry; ranks count from 1."""
        return _of_rank(self.counts, rank)

    def near(self, rank: int) -> list[int]:
        """Return the bins in which an entry of about this rank may lie, largest first.

        For a histogram of a sample: the rank may be off by chance (three standard deviations,
        3 * sqrt(rank)), and because blocks differ (half a percent).
        """
        off, entries = ceil(3 * sqrt(rank) + 0.005 * rank), int(self.counts.sum())
        largest = self.find(min(max(1, rank - off), entries))
        smallest = self.find(min(rank + off, entries))
        return [b for b in range(largest, smallest - 1, -1) if self.counts[b]]


class FineHistogram:
    """Second level: counts the entries with each lower half, in some bins of the first level.

    It also counts the entries above each bin, so that it finds a rank without the first level.

    Args:
        bins: Bins of a `CoarseHistogram`.
        use_kernels: Count by a compiled kernel.
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
        # Few entries lie in a bin: numpy selects them several times faster than torch.
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
        """Return the rank-th largest magnitude; None if it lies in none of the bins."""
        position = self.locate(rank)
        return position and position.value

    def locate(self, rank: int) -> RankPosition | None:
        """Return the position of the rank-th largest entry; None if it lies in none of the bins."""
        for b, above, counts in zip(self.bins, self.above.tolist(), self.counts, strict=True):
            if above < rank <= above + int(counts.sum()):
                low = _of_rank(counts, rank - above)
                larger = above + int(counts[low + 1 :].sum())
                return RankPosition(_magnitude(b << _LOW_BITS | low), larger, int(counts[low]))
        return None


def _of_rank(counts: Tensor, rank: int) -> int:
    """The index of the rank-th largest entry (from 1) in a histogram."""
    from_top = counts.flip(0).cumsum(0)
    return len(counts) - 1 - int((from_top >= rank).nonzero()[0])


def _magnitude(bits: int) -> float:
    """The fp32 number with these bits."""
    import torch

    return torch.tensor(bits, dtype=torch.int32).view(torch.float32).item()


def count_equal(values: Tensor, threshold: float, use_kernels: bool = False) -> int:
    """Return how many entries of a 1-D fp32 tensor have the magnitude `threshold`."""
    import numpy as np

    if use_kernels:
        from mergescale.merging.ops.kernels.quantile import count_equal as count

        return count(values.numpy(), np.float32(threshold).view(np.uint32))
    return int(np.count_nonzero(np.abs(values.numpy()) == np.float32(threshold)))


def first_beyond(values: Tensor, threshold: float, room: int) -> int:
    """Return the index of the first entry of magnitude `threshold` after `room` of them.

    Raises:
        IndexError: If there are no more than `room`.
    """
    return int((values.abs() == threshold).nonzero()[room])


def find_cutoff(task_vector: Mapping[str, Tensor], threshold: MagnitudeThreshold) -> Cutoff:
    """Return the cutoff of tensors in memory, taken together.

    Args:
        task_vector: {tensor: fp32 Tensor}.
        threshold: Density, rounding and ties; its scope is ignored.
    """
    (value,) = thresholds_of(list(task_vector.values()), [(threshold.density, threshold.rounding)])
    if threshold.ties == FIRST and 0 < value < float("inf"):
        parts = {name: task_vector[name].reshape(-1) for name in sorted(task_vector)}
        elements = sum(part.numel() for part in parts.values())
        room = count_to_keep(elements, threshold.density, threshold.rounding)
        room -= sum(int((part.abs() > value).sum()) for part in parts.values())
        for name, part in parts.items():
            if (equal := count_equal(part, value)) > room:
                return Cutoff(value, (name, first_beyond(part, value, room)))
            room -= equal
    return Cutoff(value)


def thresholds_of(tensors: Sequence[Tensor], shares: Sequence[tuple[float, str]]) -> list[float]:
    """Return the exact thresholds of tensors in memory, taken together.

    Args:
        tensors: fp32 tensors.
        shares: (density, rounding) pairs, as of `MagnitudeThreshold`.
    """
    elements = sum(tensor.numel() for tensor in tensors)
    ranks = [count_to_keep(elements, density, rounding) for density, rounding in shares]
    found = {rank: trivial_threshold(elements, rank) for rank in ranks}
    wanted = [rank for rank, value in found.items() if value is None]
    if wanted:
        first = CoarseHistogram()
        for tensor in tensors:
            first.add(tensor.reshape(-1))
        second = FineHistogram(first.find(rank) for rank in wanted)
        for tensor in tensors:
            second.add(tensor.reshape(-1))
        found |= {rank: second.value(rank) for rank in wanted}
    return [found[rank] for rank in ranks]
