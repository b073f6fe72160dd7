"""Election of signs and disjoint mean, block by block: `election.elected`."""

import numpy as np

from mergescale.merging.compiled.compiler import (
    aligned_floats,
    bits_of,
    booleans_at,
    compiled,
    floats_at,
)

# Entries: those of all experts in a block, its signs, sums and counts stay in the fastest caches.
_BLOCK = 512
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_ZERO, _ONE = np.float32(0), np.float32(1)


@compiled(
    "void(int64[::1], uint32[::1], int64[::1], float32[::1], float32[::1], boolean, float32, "
    "float32[::1])"
)
def elect(deltas, smallest, masks, shares, weights, mean, least, elected):
    """Set `elected` to the mean, or sum, of the entries whose sign is the elected one.

    One of each for an expert: deltas: address of its fp32 task vector, as long as `elected`;
    smallest: bits of the magnitude below which an entry is 0; masks: address of booleans, entries
    elsewhere are 0 and the others divided by its share, or 0 for none; weights: a factor, and what
    it counts for in the mean. least: counts below are taken for this, or if it is 0 those next to
    zero for 1.
    """
    entries = aligned_floats(len(deltas) * _BLOCK).reshape((len(deltas), _BLOCK))
    sign, total, count = aligned_floats(_BLOCK), aligned_floats(_BLOCK), aligned_floats(_BLOCK)
    for start in range(0, len(elected), _BLOCK):
        stop = min(start + _BLOCK, len(elected))
        size = stop - start
        for i in range(size):
            sign[i] = _ZERO
            total[i] = -_ZERO  # which is nothing added to either zero
            count[i] = _ZERO
        for expert in range(len(deltas)):
            delta = floats_at(deltas[expert], start, stop)
            own, weight = entries[expert], weights[expert]
            least_bits = smallest[expert]
            if masks[expert]:
                kept = booleans_at(masks[expert], start, stop)
                share = shares[expert]
                for i in range(size):
                    value = delta[i]
                    value = value if (bits_of(value) & _MAGNITUDE) >= least_bits else _ZERO
                    own[i] = (_ONE if kept[i] else _ZERO) * value / share * weight
                    sign[i] += own[i]
            else:
                for i in range(size):
                    value = delta[i]
                    value = value if (bits_of(value) & _MAGNITUDE) >= least_bits else _ZERO
                    own[i] = value * weight
                    sign[i] += own[i]
        for i in range(size):
            sign[i] = _ONE if sign[i] >= _ZERO else -_ONE
        for expert in range(len(deltas)):
            own, weight = entries[expert], weights[expert]
            for i in range(size):
                agreeing = own[i] * sign[i]
                agreeing = agreeing if agreeing >= _ZERO else _ZERO
                total[i] += agreeing
                count[i] += weight if agreeing > _ZERO else _ZERO
        made = elected[start:stop]
        if not mean:
            for i in range(size):
                made[i] = total[i] * sign[i]
        elif least > 0:
            for i in range(size):
                made[i] = total[i] * sign[i] / (count[i] if count[i] > least else least)
        else:
            for i in range(size):
                cancelled = abs(count[i]) < np.float32(1e-6)
                made[i] = total[i] * sign[i] / (_ONE if cancelled else count[i])
