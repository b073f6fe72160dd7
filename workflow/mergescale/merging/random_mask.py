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

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from mergescale.merging.chunk import Chunk

# An entry is kept if its number, 32 random bits, is at least the drop rate times 2**32. Its upper
# half is drawn for every entry, the lower half only where the upper one does not decide: for one
# entry in 65,536. Drawing is most of what DARE costs, so that halves it.
HALVES = 16  # 16-bit numbers in a Philox block of 256 bits


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
        return self._halves("", self.start, self.stop)

    def lower(self, entry: int) -> int:
        """The lower half of the number of an entry, a flat index."""
        return int(self._halves("lower", entry, entry + 1)[0])

    def kept(self, drop: float) -> np.ndarray:
        """Which entries are kept at a drop rate, each with probability 1 - drop; bool, as long.

        Probabilities are exact to 2**-32. Entries kept at one drop rate are kept at every lower
        one. Raises ValueError unless 0 <= drop < 1.
        """
        import numpy as np

        if not 0 <= drop < 1:
            raise ValueError(f"drop is {drop}, allowed is a number from 0 to below 1")
        upper, lower = divmod(round(drop * 2**32), 2**16)
        kept = np.empty(len(self.upper), bool)
        undecided = self._keep(upper, kept)
        if lower and undecided:
            for place in np.flatnonzero(self.upper == upper).tolist():
                kept[place] = self.lower(self.start + place) >= lower
        return kept

    def _keep(self, least: int, kept: np.ndarray) -> int:
        """Set `kept` by the upper halves alone; how many of them are just `least`."""
        import numpy as np

        if self.compiled:
            from mergescale.merging.compiled.random_mask import keep

            return keep(self.upper, np.uint32(least), kept)
        np.greater_equal(self.upper, least, out=kept)
        return int(np.count_nonzero(self.upper == least))

    def _halves(self, which: str, start: int, stop: int) -> np.ndarray:
        """16-bit numbers start..stop-1 of the stream of the tensor called `which`."""
        import numpy as np

        name = "\0".join((str(int(self.seed)), self.expert, self.tensor, *filter(None, [which])))
        key = int.from_bytes(sha256(name.encode()).digest()[:16], "little")
        first = start // HALVES
        words = (-(-stop // HALVES) - first) * HALVES // 4
        if self.compiled:
            from mergescale.merging.compiled.random_mask import philox

            raw = np.empty(words, np.uint64)
            philox(np.uint64(key % 2**64), np.uint64(key >> 64), np.uint64(first), raw)
        else:
            generator = np.random.Generator(np.random.Philox(key=key).advance(first))
            # Full range: the raw output of the generator, made without holding python's lock.
            raw = generator.integers(0, 2**64, size=words, dtype=np.uint64)
        # Little-endian on every machine: the low bits of a 64-bit word come before the high ones.
        halves = raw.astype("<u8", copy=False).view("<u2")
        return halves[start - first * HALVES : stop - first * HALVES]


def keep_mask(
    seed: int, expert: str, tensor: str, start: int, stop: int, drop: float
) -> np.ndarray:
    """Which of the entries start..stop-1 of a tensor are kept: bool[stop - start]."""
    return RandomNumbers(seed, expert, tensor, start, stop).kept(drop)


def dropped_and_rescaled(chunk: Chunk) -> list[Tensor]:
    """DARE: each task vector with entries dropped, the others divided by the share that is kept.

    Each expert's `density` says how many are kept. The expectation over seeds is the task vector
    (Yu et al., 2024, section 3.2). Times the experts' weights.
    """
    from mergescale.merging.chunk import times

    made = []
    for number, (delta, weight) in enumerate(zip(chunk.deltas, chunk.weights, strict=True)):
        # Ten digits, so that 1 - 0.2 is 0.8 and not its binary neighbour.
        drop = round(1 - chunk.settings[number]["density"], 10)
        share = round(1 - drop, 10)
        if chunk.compiled:
            made.append(_by_a_loop(chunk.drawn(number, drop), delta, share, weight))
        else:
            kept = chunk.kept_at_random(number, drop).mul_(delta).div_(share)
            made.append(times(kept, weight))
    return made


def _by_a_loop(kept: np.ndarray, delta: Tensor, share: float, weight: float) -> Tensor:
    import numpy as np
    import torch

    from mergescale.merging.compiled.random_mask import drop_and_rescale

    made = torch.empty_like(delta)
    drop_and_rescale(kept, delta.numpy(), np.float32(share), np.float32(weight), made.numpy())
    return made
