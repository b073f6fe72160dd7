"""`elect.elect_signs_numba`: several elections of signs in one reading of the deltas."""

import numpy as np

from mergescale.merging.ops.kernels.compiler import (
    aligned_floats,
    bits_of,
    booleans_at,
    compiled,
    floats_at,
)

# Elements at a time: the deltas of all experts, signs, sums and counts stay in the fastest caches.
_BLOCK = 512
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_ZERO, _ONE = np.float32(0), np.float32(1)
_NEXT = np.uint32(1)


@compiled(
    "void(int64[::1], int64[::1], uint32[::1], int64[::1], int64[::1], float32[::1], "
    "float32[::1], boolean[::1], float32[::1], int64[::1], int64)"
)
def elect(
    first,
    deltas,
    thresholds,
    tie_ends,
    masks,
    keep_rates,
    weights,
    means,
    min_weights,
    results,
    length,
):
    """Set each election's result: the mean, or sum, of the entries of the elected sign.

    The experts of all elections are listed one after the other.

    Args:
        first: The index of each election's first expert in this list, and the list's length.
        deltas: For each expert, the address of its fp32 task vector of this length.
        thresholds: The bits of the magnitude below which its entries become 0.
        tie_ends: The index from which on entries that tie with the threshold do, too.
        masks: The address of its mask; entries where it is False become 0. 0 for no mask.
        keep_rates: What the entries in the mask are divided by.
        weights: Its factor, and what it counts for in the mean.
        means: For each election, whether the mean or the sum is taken.
        min_weights: Smaller counts are replaced by this; if it is 0, counts next to 0 by 1.
        results: The address of the vector that is set.
        length: Elements of every vector.
    """
    max_experts = 0
    for e in range(len(means)):
        max_experts = max(max_experts, first[e + 1] - first[e])
    entries = aligned_floats(max_experts * _BLOCK).reshape((max_experts, _BLOCK))
    sign, total, count = aligned_floats(_BLOCK), aligned_floats(_BLOCK), aligned_floats(_BLOCK)
    part = aligned_floats(_BLOCK)
    for start in range(0, length, _BLOCK):
        stop = min(start + _BLOCK, length)
        for e in range(len(means)):
            size = stop - start
            for i in range(size):
                sign[i] = _ZERO
                total[i] = -_ZERO  # -0: adding it changes neither zero
                count[i] = _ZERO
            for n in range(first[e], first[e + 1]):
                delta = floats_at(deltas[n], start, stop)
                own, weight, least_bits = entries[n - first[e]], weights[n], thresholds[n]
                if tie_ends[n] <= start:
                    least_bits = np.uint32(least_bits + _NEXT)
                elif tie_ends[n] < stop:
                    # The block in which ties end: set those after the end to 0 beforehand.
                    middle = tie_ends[n] - start
                    for i in range(size):
                        equal = (bits_of(delta[i]) & _MAGNITUDE) == least_bits
                        part[i] = _ZERO if i >= middle and equal else delta[i]
                    delta = part[:size]
                if masks[n]:
                    kept, share = booleans_at(masks[n], start, stop), keep_rates[n]
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
            made = floats_at(results[e], start, stop)
            if not means[e]:
                for i in range(size):
                    made[i] = total[i] * sign[i]
            elif min_weights[e] > 0:
                lowest = min_weights[e]
                for i in range(size):
                    made[i] = total[i] * sign[i] / (count[i] if count[i] > lowest else lowest)
            else:
                for i in range(size):
                    cancelled = abs(count[i]) < np.float32(1e-6)
                    made[i] = total[i] * sign[i] / (_ONE if cancelled else count[i])
