"""W0 + lambda * tau as it is written, with what is told of it: `stream.Engine` in one reading."""

import numpy as np

from mergescale.merging.ops.kernels.compiler import bits_of, compiled, float_of

_MAGNITUDE = np.uint32(0x7FFFFFFF)
_HALF = np.uint32(16)
_INFINITY = np.int32(0x7F800000)
_ZERO, _ONE = np.float32(0), np.uint32(1)
_MORE, _NO_MORE = np.int32(1), np.int32(0)


@compiled("UniTuple(int64, 3)(float32[::1], float32, float32[::1], uint16[::1])")
def to_bfloat16(tau, lam, base, written):
    """Set `written` to W0 + lambda * tau as bits of bf16, rounded to the nearest, ties to even.

    Returns whether a number is not finite, how many entries of lambda * tau are not 0, and how
    many of those are the base's all the same.
    """
    before, after = np.int32(0), np.int32(0)
    moving, lost = np.int32(0), np.int32(0)
    for i in range(len(written)):
        update = tau[i] * lam
        bits = bits_of(update + base[i])
        rounded = (bits + np.uint32(0x7FFF) + ((bits >> _HALF) & _ONE)) >> _HALF
        written[i] = np.uint16(rounded)
        # Of both, since rounding may reach infinity, and make a number of NaN.
        magnitude = np.int32(bits & _MAGNITUDE)
        before = magnitude if magnitude > before else before
        magnitude = np.int32(rounded & np.uint32(0x7FFF))
        after = magnitude if magnitude > after else after
        # Written so, these counts are made by the instructions for vectors.
        moves = update != _ZERO
        moving += _MORE if moves else _NO_MORE
        lost += _MORE if moves & (float_of(rounded << _HALF) == base[i]) else _NO_MORE
    infinite = (before >= _INFINITY) | (after >= _INFINITY >> np.int32(16))
    return np.int64(infinite), np.int64(moving), np.int64(lost)


@compiled("int64(float32[::1], float32, float32[::1], float32[::1])")
def to_float32(tau, lam, base, written):
    """Set `written` to W0 + lambda * tau; return whether a number is not finite."""
    largest = np.int32(0)
    for i in range(len(written)):
        merged = tau[i] * lam + base[i]
        written[i] = merged
        bits = np.int32(bits_of(merged) & _MAGNITUDE)
        largest = bits if bits > largest else largest
    return np.int64(largest >= _INFINITY)
