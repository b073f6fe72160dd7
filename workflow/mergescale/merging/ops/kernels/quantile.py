"""`add` of the histograms in `quantile`: counts of the bits of fp32 magnitudes."""

import numpy as np
from numba import njit

from mergescale.merging.ops.kernels.compiler import (
    LANES,
    bits_of,
    compiled,
    count_of_ones,
    lowest_one,
    within,
)

_MAGNITUDE = np.uint32(0x7FFFFFFF)
_HALF = np.uint32(16)
_WIDTH = np.uint32(1 << 16)  # of a bin
_BLOCK = 4096  # entries at a time, which stay in the fastest cache while several bins are counted
_ONE, _ABOVE_ALL = np.uint32(1), np.uint32(1 << 31)


@compiled("void(float32[::1], int64[::1])")
def count_upper(values, counts):
    """Add to counts[h] how many magnitudes have the upper half h of the bits."""
    for i in range(len(values)):
        counts[(bits_of(values[i]) & _MAGNITUDE) >> _HALF] += 1


@njit
def _count_bin(values, low, counts):
    high = low + _WIDTH
    larger = np.int64(0)
    whole = len(values) // LANES * LANES
    for start in range(0, whole, LANES):
        address = values.ctypes.data + 4 * start
        larger += count_of_ones(within(address, high, _ABOVE_ALL - high))
        inside = within(address, low, _WIDTH)
        while inside:
            counts[(bits_of(values[start + lowest_one(inside)]) & _MAGNITUDE) - low] += 1
            inside &= inside - _ONE
    for i in range(whole, len(values)):
        bits = bits_of(values[i]) & _MAGNITUDE
        if bits >= high:
            larger += 1
        elif bits >= low:
            counts[bits - low] += 1
    return larger


@compiled("int64(float32[::1], uint32)")
def count_equal(values, bits):
    """Return how many magnitudes have these bits."""
    found = np.int64(0)
    whole = len(values) // LANES * LANES
    for start in range(0, whole, LANES):
        found += count_of_ones(within(values.ctypes.data + 4 * start, bits, _ONE))
    for i in range(whole, len(values)):
        found += (bits_of(values[i]) & _MAGNITUDE) == bits
    return found


@compiled("void(float32[::1], uint32[::1], int64[::1], int64[:,::1])")
def count_lower(values, bins, above, counts):
    """Count the lower halves of magnitudes whose upper half is one of `bins`.

    Adds to counts[b, h] how many magnitudes with the upper half bins[b] have the lower half h, and
    to above[b] how many have a larger upper half.
    """
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        for b in range(len(bins)):
            above[b] += _count_bin(block, bins[b] << _HALF, counts[b])
