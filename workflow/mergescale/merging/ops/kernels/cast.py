"""`cast.cast_output` in one reading: W0 + lambda * tau, cast, checked and counted."""

import numpy as np

from mergescale.merging.ops.kernels.compiler import bits_of, compiled, float_of

_MAGNITUDE = np.uint32(0x7FFFFFFF)
_HALF = np.uint32(16)
_INFINITY = np.int32(0x7F800000)
_ZERO, _ONE = np.float32(0), np.uint32(1)
_MORE, _NO_MORE = np.int32(1), np.int32(0)


@compiled("UniTuple(int64, 3)(float32[::1], float32, float32[::1], uint16[::1])")
def to_bfloat16(tau, lam, base, output):
    """Set `output` to W0 + lambda * tau as bits of bf16, rounded to the nearest, ties to even.

    Returns:
        Whether a number is not finite; how many entries lambda * tau updates; how many of those
        are rounded away, so that the base's value stays.
    """
    before, after = np.int32(0), np.int32(0)
    num_updated, num_rounded_away = np.int32(0), np.int32(0)
    for i in range(len(output)):
        update = tau[i] * lam
        bits = bits_of(update + base[i])
        rounded = (bits + np.uint32(0x7FFF) + ((bits >> _HALF) & _ONE)) >> _HALF
        output[i] = np.uint16(rounded)
        # Check both: rounding may reach infinity, and may turn NaN into a number.
        magnitude = np.int32(bits & _MAGNITUDE)
        before = magnitude if magnitude > before else before
        magnitude = np.int32(rounded & np.uint32(0x7FFF))
        after = magnitude if magnitude > after else after
        # In this form the compiler vectorizes the counts.
        updated = update != _ZERO
        num_updated += _MORE if updated else _NO_MORE
        unchanged = float_of(rounded << _HALF) == base[i]
        num_rounded_away += _MORE if updated & unchanged else _NO_MORE
    infinite = (before >= _INFINITY) | (after >= _INFINITY >> np.int32(16))
    return np.int64(infinite), np.int64(num_updated), np.int64(num_rounded_away)


@compiled("int64(float32[::1], float32, float32[::1], float32[::1])")
def to_float32(tau, lam, base, output):
    """Set `output` to W0 + lambda * tau; return whether a number is not finite."""
    largest = np.int32(0)
    for i in range(len(output)):
        merged = tau[i] * lam + base[i]
        output[i] = merged
        bits = np.int32(bits_of(merged) & _MAGNITUDE)
        largest = bits if bits > largest else largest
    return np.int64(largest >= _INFINITY)
