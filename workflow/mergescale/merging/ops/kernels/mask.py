"""`mask.RandomNumbers`: DARE's random numbers, and which entries they keep."""

import numpy as np

from mergescale.merging.ops.kernels.compiler import compiled, halves_of_product

# Philox-4x64, ten rounds (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3",
# table 2): the multipliers, and what is added to the key after each round.
_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_W0, _W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10
_RUN = 64  # numbers that are compared at once


@compiled("void(uint64, uint64, uint64, uint64[::1])")
def philox(key0, key1, first, words):
    """Fill `words` with blocks first, first + 1, ... of numpy's `Philox(key)`, four words each."""
    for block in range(len(words) // 4):
        c0 = first + np.uint64(block) + np.uint64(1)  # numpy increments the counter before it draws
        c1, c2, c3 = np.uint64(0), np.uint64(0), np.uint64(0)
        k0, k1 = key0, key1
        for _ in range(_ROUNDS):
            high0, low0 = halves_of_product(_M0, c0)
            high1, low1 = halves_of_product(_M1, c2)
            c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
            k0 += _W0
            k1 += _W1
        words[4 * block] = c0
        words[4 * block + 1] = c1
        words[4 * block + 2] = c2
        words[4 * block + 3] = c3


@compiled("void(uint64, uint64, int64[::1], uint16[::1])")
def philox_at(key0, key1, indices, numbers):
    """Set `numbers` to the 16-bit numbers at these indices of the stream that `philox` draws."""
    words = np.empty(4, np.uint64)
    for i in range(len(indices)):
        philox(key0, key1, np.uint64(indices[i] // 16), words)
        lane = indices[i] % 16
        numbers[i] = np.uint16(words[lane // 4] >> np.uint64(16 * (lane % 4)))


@compiled("int64(uint16[::1], uint32, boolean[::1], int64[::1])")
def keep(numbers, minimum, kept, equal):
    """Set `kept` to whether numbers are at least `minimum`, and `equal` to where they equal it.

    Returns:
        How many equal it; `equal` has the indices of as many as fit.
    """
    found = 0
    whole = len(kept) // _RUN * _RUN
    for start in range(0, whole, _RUN):
        run, result = numbers[start : start + _RUN], kept[start : start + _RUN]
        here = np.uint16(0)
        for i in range(_RUN):
            number = np.uint32(run[i])
            result[i] = number >= minimum
            here |= np.uint16(1) if number == minimum else np.uint16(0)
        if here:
            for i in range(_RUN):
                if run[i] == minimum:
                    if found < len(equal):
                        equal[found] = start + i
                    found += 1
    for i in range(whole, len(kept)):
        kept[i] = numbers[i] >= minimum
        if numbers[i] == minimum:
            if found < len(equal):
                equal[found] = i
            found += 1
    return found
