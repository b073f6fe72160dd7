"""DARE's random masks, from a counter-based generator (Philox; Salmon et al., 2011).

An entry's fate depends on the seed, the expert's name, the tensor's name and the entry's flat
index, and on nothing else: neither on chunks, threads, devices or the order of tensors, nor on
which other experts take part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from mergescale.merging.ops.sparse_delta import SparseDelta

if TYPE_CHECKING:
    import numpy as np

    from mergescale.merging.chunk import DeltaBlock

# An entry is kept if its number, 32 random bits, is at least the drop rate times 2**32. Its upper
# half is drawn for every entry, the lower half only where the upper one does not decide: for one
# entry in 65,536. Drawing is most of what DARE costs, so that halves it.
HALVES = 16  # 16-bit numbers in a Philox block of 256 bits
_FEW = 1024  # more undecided entries than any piece has


@dataclass(frozen=True)
class RandomNumbers:
    """The numbers of the entries start..stop-1 (flat indices) of a tensor of an expert.

    compiled: drawn and compared by compiled loops; the same numbers.
    """

    seed: int
    expert: str
    tensor: str
    start: int
    stop: int
    compiled: bool = False

    @cached_property
    def upper(self) -> np.ndarray:
        """The upper half of each entry's number: uint16[stop - start]."""
        import numpy as np

        first = self.start // HALVES
        words = (-(-self.stop // HALVES) - first) * HALVES // 4
        key = self._key("")
        if self.compiled:
            from mergescale.merging.ops.kernels.mask import philox

            raw = np.empty(words, np.uint64)
            philox(*_two_words(key), np.uint64(first), raw)
        else:
            raw = _numpys(key, first, words)
        return _halves(raw)[self.start - first * HALVES : self.stop - first * HALVES]

    def lower(self, entries: np.ndarray) -> np.ndarray:
        """The lower halves of the numbers of some entries, int64 flat indices: uint16."""
        import numpy as np

        key = self._key("lower")
        found = np.empty(len(entries), np.uint16)
        if self.compiled:
            from mergescale.merging.ops.kernels.mask import philox_at

            philox_at(*_two_words(key), entries, found)
        else:
            for place, entry in enumerate(entries.tolist()):
                block = _numpys(key, entry // HALVES, HALVES // 4)
                found[place] = _halves(block)[entry % HALVES]
        return found

    def kept(self, drop: float) -> np.ndarray:
        """Which entries are kept at a drop rate, each with probability 1 - drop; bool, as long.

        Probabilities are exact to 2**-32. Entries kept at one drop rate are kept at every lower
        one. Raises ValueError unless 0 <= drop < 1.
        """
        if not 0 <= drop < 1:
            raise ValueError(f"drop is {drop}, allowed is a number from 0 to below 1")
        upper, lower = divmod(round(drop * 2**32), 2**16)
        kept, undecided = self._by_upper(upper)
        if lower and len(undecided):
            kept[undecided] = self.lower(undecided + self.start) >= lower
        return kept

    def _by_upper(self, least: int) -> tuple[np.ndarray, np.ndarray]:
        """Whether the upper halves are at least so large; the places where they are just that."""
        import numpy as np

        if self.compiled:
            from mergescale.merging.ops.kernels.mask import keep

            kept, places = np.empty(len(self.upper), bool), np.empty(_FEW, np.int64)
            found = keep(self.upper, np.uint32(least), kept, places)
            if found <= _FEW:
                return kept, places[:found]
        return self.upper >= least, np.flatnonzero(self.upper == least)

    def _key(self, which: str) -> int:
        """Of the stream of the tensor called `which`: 128 bits."""
        name = "\0".join((str(int(self.seed)), self.expert, self.tensor, *filter(None, [which])))
        return int.from_bytes(sha256(name.encode()).digest()[:16], "little")


def _two_words(key: int) -> tuple[np.uint64, np.uint64]:
    import numpy as np

    return np.uint64(key % 2**64), np.uint64(key >> 64)


def _numpys(key: int, first: int, words: int) -> np.ndarray:
    """So many words of numpy's generator, from a block on."""
    import numpy as np

    generator = np.random.Generator(np.random.Philox(key=key).advance(first))
    # Full range: the raw output of the generator, made without holding python's lock.
    return generator.integers(0, 2**64, size=words, dtype=np.uint64)


def _halves(words: np.ndarray) -> np.ndarray:
    """As 16-bit numbers: little-endian on every machine, low bits of a word before high ones."""
    return words.astype("<u8", copy=False).view("<u2")


def keep_mask(
    seed: int, expert: str, tensor: str, start: int, stop: int, drop: float
) -> np.ndarray:
    """Which of the entries start..stop-1 of a tensor are kept: bool[stop - start]."""
    return RandomNumbers(seed, expert, tensor, start, stop).kept(drop)


def dropped_and_rescaled(chunk: DeltaBlock) -> list[SparseDelta]:
    """DARE: each task vector with entries dropped, the others divided by the share that is kept.

    Each expert's `density` says how many are kept. The expectation over seeds is the task vector
    (Yu et al., 2024, section 3.2). Times the experts' weights.
    """
    made = []
    for number, (delta, weight) in enumerate(zip(chunk.deltas, chunk.weights, strict=True)):
        # Ten digits, so that 1 - 0.2 is 0.8 and not its binary neighbour.
        drop = round(1 - chunk.settings[number]["density"], 10)
        kept = chunk.bernoulli_mask(number, drop)
        made.append(SparseDelta(delta, weight, kept=kept, share=round(1 - drop, 10)))
    return made
