"""Counts of the halves of an fp32 number's bits: `UpperHalves.add` and `LowerHalves.add`."""

import numpy as np

from mergescale.merging.compiled.compiler import bits_of, compiled

_MAGNITUDE = np.uint32(0x7FFFFFFF)
_HALF = np.uint32(16)
_LOW = np.uint32(0xFFFF)
_RUN = 16  # entries that are looked at together: most runs hold no entry of the bin


@compiled("void(float32[::1], int64[::1])")
def count_upper(values, counts):
    """Add to counts[h] how many magnitudes have the upper half h."""
    for i in range(len(values)):
        counts[(bits_of(values[i]) & _MAGNITUDE) >> _HALF] += 1


@compiled("void(float32[::1], uint32, int64[::1])")
def count_lower(values, upper, counts):
    """Add to counts[h] how many magnitudes with this upper half have the lower half h."""
    whole = len(values) // _RUN * _RUN
    for start in range(0, whole, _RUN):
        run = values[start : start + _RUN]
        found = np.uint32(0)
        for i in range(_RUN):
            here = (bits_of(run[i]) & _MAGNITUDE) >> _HALF == upper
            found |= np.uint32(1) if here else np.uint32(0)
        if found:
            for i in range(_RUN):
                bits = bits_of(run[i]) & _MAGNITUDE
                if bits >> _HALF == upper:
                    counts[bits & _LOW] += 1
    for i in range(whole, len(values)):
        bits = bits_of(values[i]) & _MAGNITUDE
        if bits >> _HALF == upper:
            counts[bits & _LOW] += 1
