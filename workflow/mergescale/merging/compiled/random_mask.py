"""DARE's random numbers, and its drop and rescale: `random_mask`."""

import numpy as np

from mergescale.merging.compiled.compiler import compiled, upper_half_of_product

_ZERO, _ONE = np.float32(0), np.float32(1)
# Philox-4x64, ten rounds (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3",
# table 2): multipliers, and what is added to the key after each round.
_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_W0, _W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10


@compiled("void(uint64, uint64, uint64, uint64[::1])")
def philox(key0, key1, first, words):
    """Fill `words` with blocks first, first + 1, ... of numpy's `Philox(key)`, four words each."""
    for block in range(len(words) // 4):
        c0 = first + np.uint64(block) + np.uint64(1)  # numpy counts before it draws
        c1, c2, c3 = np.uint64(0), np.uint64(0), np.uint64(0)
        k0, k1 = key0, key1
        for _ in range(_ROUNDS):
            high0, low0 = upper_half_of_product(_M0, c0), _M0 * c0
            high1, low1 = upper_half_of_product(_M1, c2), _M1 * c2
            c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
            k0 += _W0
            k1 += _W1
        words[4 * block] = c0
        words[4 * block + 1] = c1
        words[4 * block + 2] = c2
        words[4 * block + 3] = c3


@compiled("int64(uint16[::1], uint32, boolean[::1])")
def keep(numbers, least, kept):
    """Set `kept` where numbers are at least so large; return how many are just that."""
    equal = np.int32(0)
    for i in range(len(kept)):
        number = np.uint32(numbers[i])
        kept[i] = number >= least
        equal += np.int32(1) if number == least else np.int32(0)
    return np.int64(equal)


@compiled("void(boolean[::1], float32[::1], float32, float32, float32[::1])")
def drop_and_rescale(kept, delta, share, weight, made):
    """Set `made` to delta / share * weight where `kept` says so, elsewhere to 0."""
    for i in range(len(made)):
        made[i] = (_ONE if kept[i] else _ZERO) * delta[i] / share * weight
