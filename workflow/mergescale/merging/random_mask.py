"""DARE's random masks, from a counter-based generator (Philox; Salmon et al., 2011).

An entry's fate depends on the seed, the expert's name, the tensor's name and the entry's flat
index, and on nothing else: neither on chunks, threads, devices or the order of tensors, nor on
which other experts take part.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from mergescale.merging.chunk import Chunk

WORDS = 8  # 32-bit words in a Philox block of 256 bits; each entry of a tensor takes one word


def random_words(seed: int, expert: str, tensor: str, start: int, stop: int) -> np.ndarray:
    """A 32-bit word for each of the entries start..stop-1 (flat indices): uint32[stop - start]."""
    import numpy as np

    name = "\0".join((str(int(seed)), expert, tensor)).encode()
    key = int.from_bytes(sha256(name).digest()[:16], "little")
    first = start // WORDS
    generator = np.random.Generator(np.random.Philox(key=key).advance(first))
    # Full range: the raw output of the generator, made without holding python's lock.
    raw = generator.integers(
        0, 2**64, size=(-(-stop // WORDS) - first) * WORDS // 2, dtype=np.uint64
    )
    # Little-endian on every machine: the low half of a 64-bit word comes before the high half.
    return raw.astype("<u8", copy=False).view("<u4")[start - first * WORDS : stop - first * WORDS]


def words_kept(words: np.ndarray, drop: float) -> np.ndarray:
    """Which entries are kept at a drop rate, each with probability 1 - drop; bool, as long.

    Probabilities are exact to 2**-32. Entries kept at one drop rate are kept at every lower one.
    Raises ValueError unless 0 <= drop < 1.
    """
    if not 0 <= drop < 1:
        raise ValueError(f"drop is {drop}, allowed is a number from 0 to below 1")
    return words >= round(drop * 2**32)


def keep_mask(
    seed: int, expert: str, tensor: str, start: int, stop: int, drop: float
) -> np.ndarray:
    """Which of the entries start..stop-1 of a tensor are kept: bool[stop - start]."""
    return words_kept(random_words(seed, expert, tensor, start, stop), drop)


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
        kept = chunk.kept_at_random(number, drop).mul_(delta).div_(round(1 - drop, 10))
        made.append(times(kept, weight))
    return made
