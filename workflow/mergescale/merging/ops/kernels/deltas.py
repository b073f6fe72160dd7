"""W_i - W0 of a piece, with its largest magnitude: `DeltaReader.deltas` in one reading."""

import numpy as np

from mergescale.merging.ops.kernels.compiler import bits_of, compiled, float_of

_MAGNITUDE = np.uint32(0x7FFFFFFF)


@compiled("uint32(uint16[::1], float32[::1], float32[::1])")
def from_bfloat16(raw, base, delta):
    """Set `delta`; return the bits of the largest magnitude, above those of infinity for NaN.

    raw: W_i as bits of bf16. base: W0.
    """
    largest = np.int32(0)
    for i in range(len(delta)):
        difference = float_of(np.uint32(raw[i]) << np.uint32(16)) - base[i]
        delta[i] = difference
        # Signed numbers have a maximum of their own among the instructions of most CPUs.
        bits = np.int32(bits_of(difference) & _MAGNITUDE)
        largest = bits if bits > largest else largest
    return np.uint32(largest)


@compiled("uint32(float32[::1], float32[::1], float32[::1])")
def from_float32(values, base, delta):
    """As `from_bfloat16`, of fp32 numbers."""
    largest = np.int32(0)
    for i in range(len(delta)):
        difference = values[i] - base[i]
        delta[i] = difference
        bits = np.int32(bits_of(difference) & _MAGNITUDE)
        largest = bits if bits > largest else largest
    return np.uint32(largest)
