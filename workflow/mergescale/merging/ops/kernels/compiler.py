"""How kernels are compiled: by numba, cached on disk, without Python's lock while they run.

A kernel computes in one reading of its arrays what several torch operations compute elsewhere, with
the same fp32 operations in the same order (none is fused or reordered): it gives the same bits,
which tests check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic


def compiled(*signatures: str) -> Callable[[Callable], Callable]:
    """Return a decorator that compiles a function for these types, or loads it from the cache.

    The cache of a kernel is invalidated by changes of its own file only: after a change of this
    file, touch those of the kernels.
    """

    # Division as numpy's: Python's checks for zeros, which prevents vector instructions.
    how = {"nogil": True, "error_model": "numpy"}

    def decorate(function: Callable) -> Callable:
        try:
            return njit(list(signatures), cache=True, **how)(function)
        except (RuntimeError, OSError):  # no folder is writable for the cache
            return njit(list(signatures), **how)(function)

    return decorate


@intrinsic
def bits_of(typing_context: Any, number: Any) -> Any:
    """Return the 32 bits of an fp32 number, as uint32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), code


@intrinsic
def float_of(typing_context: Any, bits: Any) -> Any:
    """Return the fp32 number with these 32 bits."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), code


@intrinsic
def halves_of_product(typing_context: Any, one: Any, other: Any) -> Any:
    """Return the upper and the lower 64 bits of the product of two uint64."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, half = ir.IntType(128), ir.IntType(64)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        upper = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), half)
        halves = [upper, builder.trunc(product, half)]
        return context.make_tuple(builder, signature.return_type, halves)

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), code


LANES = 32  # numbers that `within` compares at once


@intrinsic
def within(typing_context: Any, address: Any, low: Any, width: Any) -> Any:
    """Return which of `LANES` fp32 numbers at an address have magnitude bits low..low+width-1.

    One bit for each number, the lowest bit for the first.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lane = ir.IntType(32)
        lanes = ir.VectorType(lane, LANES)
        none = ir.Constant(lanes, ir.Undefined)

        def everywhere(number: Any) -> Any:
            once = builder.insert_element(none, number, ir.Constant(lane, 0))
            return builder.shuffle_vector(once, none, ir.Constant(lanes, [0] * LANES))

        numbers = builder.load(builder.inttoptr(arguments[0], lanes.as_pointer()), align=4)
        magnitudes = builder.and_(numbers, ir.Constant(lanes, [0x7FFFFFFF] * LANES))
        # Below `low` the difference is a large number without a sign.
        offsets = builder.sub(magnitudes, everywhere(arguments[1]))
        inside = builder.icmp_unsigned("<", offsets, everywhere(arguments[2]))
        return builder.bitcast(inside, ir.IntType(LANES))

    return types.uint32(types.int64, types.uint32, types.uint32), code


@intrinsic
def count_of_ones(typing_context: Any, bits: Any) -> Any:
    """Return how many bits of a uint32 are 1."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint32(types.uint32), code


@intrinsic
def lowest_one(typing_context: Any, bits: Any) -> Any:
    """Return the index of the lowest 1 among the bits of a uint32 that is not 0."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint32(types.uint32), code


@intrinsic
def _floats(typing_context: Any, address: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.FloatType().as_pointer())

    return types.CPointer(types.float32)(types.int64), code


@intrinsic
def _booleans(typing_context: Any, address: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.CPointer(types.boolean)(types.int64), code


@njit
def floats_at(address, start, stop):
    """Return elements start..stop-1 of the fp32 array at an address."""
    return carray(_floats(address + 4 * start), (stop - start,))


@njit
def booleans_at(address, start, stop):
    """Return elements start..stop-1 of the boolean array at an address."""
    return carray(_booleans(address + start), (stop - start,))


@njit
def aligned_floats(size):
    """Return a new fp32 array that starts at a cache line, for aligned vector loads."""
    line, item = 64, 4
    array = np.empty(size + line // item, np.float32)
    skipped = -array.ctypes.data % line // item
    return array[skipped : skipped + size]
