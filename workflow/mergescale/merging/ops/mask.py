"""DARE's random masks, from a counter-based generator (Philox; Salmon et al., 2011).

Whether an entry is kept depends on the seed, the expert's name, the tensor's name and the entry's
flat index, and on nothing else: neither on blocks, threads, devices or the order of tensors, nor on
which other experts take part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from mergescale.merging.ops.trim import SparseDelta

if TYPE_CHECKING:
    import numpy as np

    from mergescale.merging.delta_block import DeltaBlock

# An entry is kept if its 32-bit random number is at least the drop rate times 2**32. The upper 16
# bits are drawn for every entry, the lower ones only where the upper ones do not decide: for one
# entry in 65,536. Drawing is most of what DARE costs, and so costs half.
HALVES = 16  # 16-bit numbers in a Philox block of 256 bits
_MAX_UNDECIDED = 1024  # more than any block has


@dataclass(frozen=True)
class RandomNumbers:
    """The random numbers of entries start..stop-1 (flat indices) of one tensor of one expert.

    Attributes:
        seed: The merge's seed.
        expert: The expert's name.
        tensor: The tensor's name.
        start: Flat index of the first entry.
        stop: Flat index after the last entry.
        use_kernels: Draw and compare by compiled kernels; the numbers are the same.
    """

    seed: int
    expert: str
    tensor: str
    start: int
    stop: int
    use_kernels: bool = False

    @cached_property
    def upper(self) -> np.ndarray:
        """The upper half of each entry's number: uint16[stop - start]."""
        import numpy as np

        first = self.start // HALVES
        words = (-(-self.stop // HALVES) - first) * HALVES // 4
        key = self._key("")
        if self.use_kernels:
            from mergescale.merging.ops.kernels.mask import philox

            raw = np.empty(words, np.uint64)
            philox(*_two_words(key), np.uint64(first), raw)
        else:
            raw = _philox_numpy(key, first, words)
        return _halves(raw)[self.start - first * HALVES : self.stop - first * HALVES]

    def lower(self, indices: np.ndarray) -> np.ndarray:
        """Return the lower halves (uint16) of the numbers of some entries (int64 flat indices)."""
        import numpy as np

        key = self._key("lower")
        numbers = np.empty(len(indices), np.uint16)
        if self.use_kernels:
            from mergescale.merging.ops.kernels.mask import philox_at

            philox_at(*_two_words(key), indices, numbers)
        else:
            for i, index in enumerate(indices.tolist()):
                block = _philox_numpy(key, index // HALVES, HALVES // 4)
                numbers[i] = _halves(block)[index % HALVES]
        return numbers

    def mask(self, drop_rate: float) -> np.ndarray:
        """Return which entries are kept, each with probability 1 - drop_rate: bool[stop - start].

        Probabilities are exact to 2**-32. Entries kept at one drop rate are kept at every lower
        one.

        Raises:
            ValueError: If drop_rate is not in [0, 1).
        """
        if not 0 <= drop_rate < 1:
            raise ValueError(f"drop_rate is {drop_rate}, must be in [0, 1)")
        upper, lower = divmod(round(drop_rate * 2**32), 2**16)
        mask, undecided = self._compare_upper(upper)
        if lower and len(undecided):
            mask[undecided] = self.lower(undecided + self.start) >= lower
        return mask

    def _compare_upper(self, minimum: int) -> tuple[np.ndarray, np.ndarray]:
        """Where upper halves are at least `minimum` (bool), and the indices where they equal it."""
        import numpy as np

        if self.use_kernels:
            from mergescale.merging.ops.kernels.mask import keep

            mask = np.empty(len(self.upper), bool)
            undecided = np.empty(_MAX_UNDECIDED, np.int64)
            count = keep(self.upper, np.uint32(minimum), mask, undecided)
            if count <= _MAX_UNDECIDED:
                return mask, undecided[:count]
        return self.upper >= minimum, np.flatnonzero(self.upper == minimum)

    def _key(self, stream: str) -> int:
        """The 128-bit Philox key of one of the tensor's streams, "" or "lower"."""
        name = "\0".join((str(int(self.seed)), self.expert, self.tensor, *filter(None, [stream])))
        return int.from_bytes(sha256(name.encode()).digest()[:16], "little")


def _two_words(key: int) -> tuple[np.uint64, np.uint64]:
    import numpy as np

    return np.uint64(key % 2**64), np.uint64(key >> 64)


def _philox_numpy(key: int, first: int, words: int) -> np.ndarray:
    """`words` 64-bit numbers of numpy's generator, from block `first` on."""
    import numpy as np

    generator = np.random.Generator(np.random.Philox(key=key).advance(first))
    # The full range gives the generator's raw output, without holding Python's lock.
    return generator.integers(0, 2**64, size=words, dtype=np.uint64)


def _halves(words: np.ndarray) -> np.ndarray:
    """As 16-bit numbers: little-endian on every machine, low bits of a word before high ones."""
    return words.astype("<u8", copy=False).view("<u2")


def bernoulli_mask(
    seed: int, expert: str, tensor: str, start: int, stop: int, drop_rate: float
) -> np.ndarray:
    """Return which of the entries start..stop-1 of a tensor DARE keeps: bool[stop - start]."""
    return RandomNumbers(seed, expert, tensor, start, stop).mask(drop_rate)


def drop_and_rescale(block: DeltaBlock) -> list[SparseDelta]:
    """Drop entries at random and divide the others by the keep rate (DARE; Yu et al., 2024, 3.2).

    Each expert's parameter `density` is its keep rate. The expectation over seeds is the delta.
    """
    dropped = []
    for index, delta in enumerate(block.deltas):
        # Ten digits, so that 1 - 0.2 is 0.8 and not its binary neighbor.
        drop_rate = round(1 - block.parameters[index]["density"], 10)
        mask = block.bernoulli_mask(index, drop_rate)
        dropped.append(SparseDelta(delta, mask=mask, keep_rate=round(1 - drop_rate, 10)))
    return dropped
