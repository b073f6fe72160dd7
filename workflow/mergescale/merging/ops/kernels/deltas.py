"""`DeltaReader.deltas` in one reading: W_i - W0 of a block, and its largest magnitude."""

import numpy as np

from mergescale.merging.ops.kernels.compiler import bits_of, compiled, float_of

_MAGNITUDE = np.uint32(0x7FFFFFFF)


@compiled("uint32(uint16[::1], float32[::1], float32[::1])")
def from_bfloat16(raw, base, delta):
    """Set `delta` to W_i - W0, where `raw` is W_i as bits of bf16 and `base` is W0.

    Returns:
        The bits of the largest magnitude; for NaN they are above those of infinity.
    """
    largest = np.int32(0)
    for i in range(len(delta)):
        difference = float_of(np.uint32(raw[i]) << np.uint32(16)) - base[i]
        delta[i] = difference
        # Most CPUs have a vector maximum for signed integers only.
        bits = np.int32(bits_of(difference) & _MAGNITUDE)
        largest = bits if bits > largest else largest
    return np.uint32(largest)


@compiled("uint32(float32[::1], float32[::1], float32[::1])")
def from_float32(values, base, delta):
    """Set `delta` to W_i - W0, where `values` is W_i in fp32; returns as `from_bfloat16`."""
    largest = np.int32(0)
    for i in range(len(delta)):
        difference = values[i] - base[i]
        delta[i] = difference
        bits = np.int32(bits_of(difference) & _MAGNITUDE)
        largest = bits if bits > largest else largest
    return np.uint32(largest)
