"""Elections of signs and disjoint means, block by block: `election.elect_signs_numba`."""

import numpy as np

from mergescale.merging.ops.kernels.compiler import (
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
_NEXT = np.uint32(1)


@compiled(
    "void(int64[::1], int64[::1], uint32[::1], int64[::1], int64[::1], float32[::1], "
    "float32[::1], boolean[::1], float32[::1], int64[::1], int64)"
)
def elect(first, deltas, smallest, until, masks, shares, weights, means, least, elected, length):
    """Set what each election elects: the mean, or sum, of the entries of the elected sign.

    first: first[e] and first[e + 1] are the first entry of an election and the next one's in what
    holds one for each entry: deltas: address of an expert's fp32 task vector of this length;
    smallest: bits of the magnitude below which an entry is 0, from the index `until` on also if it
    has just these; masks: address of booleans, entries elsewhere are 0 and the others divided by
    its share, or 0 for none; weights: a factor, and what it counts for in the mean.
    One for each election: means: mean or sum; least: counts below are taken for this, or if it is 0
    those next to zero for 1; elected: address of what is set.
    """
    most = 0
    for e in range(len(means)):
        most = max(most, first[e + 1] - first[e])
    entries = aligned_floats(most * _BLOCK).reshape((most, _BLOCK))
    sign, total, count = aligned_floats(_BLOCK), aligned_floats(_BLOCK), aligned_floats(_BLOCK)
    part = aligned_floats(_BLOCK)
    for start in range(0, length, _BLOCK):
        stop = min(start + _BLOCK, length)
        for e in range(len(means)):
            size = stop - start
            for i in range(size):
                sign[i] = _ZERO
                total[i] = -_ZERO  # which is nothing added to either zero
                count[i] = _ZERO
            for n in range(first[e], first[e + 1]):
                delta = floats_at(deltas[n], start, stop)
                own, weight, least_bits = entries[n - first[e]], weights[n], smallest[n]
                if until[n] <= start:
                    least_bits = np.uint32(least_bits + _NEXT)
                elif until[n] < stop:
                    # The only block of which a part is left out: where that is, 0 from the start.
                    middle = until[n] - start
                    for i in range(size):
                        equal = (bits_of(delta[i]) & _MAGNITUDE) == least_bits
                        part[i] = _ZERO if i >= middle and equal else delta[i]
                    delta = part[:size]
                if masks[n]:
                    kept, share = booleans_at(masks[n], start, stop), shares[n]
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
            for n in range(first[e], first[e + 1]):
                own, weight = entries[n - first[e]], weights[n]
                for i in range(size):
                    agreeing = own[i] * sign[i]
                    agreeing = agreeing if agreeing >= _ZERO else _ZERO
                    total[i] += agreeing
                    count[i] += weight if agreeing > _ZERO else _ZERO
            made = floats_at(elected[e], start, stop)
            if not means[e]:
                for i in range(size):
                    made[i] = total[i] * sign[i]
            elif least[e] > 0:
                lowest = least[e]
                for i in range(size):
                    made[i] = total[i] * sign[i] / (count[i] if count[i] > lowest else lowest)
            else:
                for i in range(size):
                    cancelled = abs(count[i]) < np.float32(1e-6)
                    made[i] = total[i] * sign[i] / (_ONE if cancelled else count[i])
