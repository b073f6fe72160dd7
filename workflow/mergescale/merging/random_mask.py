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

WORDS = 8  # 32-bit words in a Philox block of 256 bits; each entry of a tensor takes one word


def keep_mask(
    seed: int, expert: str, tensor: str, start: int, stop: int, drop: float
) -> np.ndarray:
    """Which of the entries start..stop-1 (flat indices) are kept, each with probability 1 - drop.

    Returns bool[stop - start]. Probabilities are exact to 2**-32. Entries kept at one drop rate
    are kept at every lower one. Raises ValueError unless 0 <= drop < 1.
    """
    import numpy as np

    if not 0 <= drop < 1:
        raise ValueError(f"drop is {drop}, allowed is a number from 0 to below 1")
    name = "\0".join((str(int(seed)), expert, tensor)).encode()
    key = int.from_bytes(sha256(name).digest()[:16], "little")
    first = start // WORDS
    generator = np.random.Philox(key=key).advance(first)
    raw = generator.random_raw((-(-stop // WORDS) - first) * WORDS // 2)
    # Little-endian on every machine: the low half of a 64-bit word comes before the high half.
    words = raw.astype("<u8", copy=False).view("<u4")[start - first * WORDS : stop - first * WORDS]
    return words >= round(drop * 2**32)


def drop_and_rescale(delta: Tensor, drop: float, seed: int, expert: str, tensor: str) -> Tensor:
    """DARE: `delta` with entries dropped at rate `drop` and the others divided by 1 - drop.

    The expectation over seeds is `delta` (Yu et al., 2024, section 3.2).
    """
    import torch

    # Ten digits, so that drop = 1 - 0.2 is 0.8 and not its binary neighbour.
    drop = round(drop, 10)
    mask = torch.from_numpy(keep_mask(seed, expert, tensor, 0, delta.numel(), drop))
    return delta * mask.view(delta.shape).to(delta.device) / round(1 - drop, 10)
