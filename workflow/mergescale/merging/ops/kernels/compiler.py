"""How loops are compiled: by numba, kept on disk, without python's lock while they run.

A loop does in one reading of its arrays what a formula elsewhere says in several torch operations,
in the same order of the same fp32 operations (nothing is fused or reordered): it gives the same
bits, which tests check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic


def compiled(*signatures: str) -> Callable[[Callable], Callable]:
    """A decorator: the function compiled for these types, or as kept from an earlier process.

    What is kept is known by its own file: after a change of this one, touch those of the loops.
    """

    # Division as numpy's: python's looks for zeros, which keeps it from the vector instructions.
    how = {"nogil": True, "error_model": "numpy"}

    def decorate(function: Callable) -> Callable:
        try:
            return njit(list(signatures), cache=True, **how)(function)
        except (RuntimeError, OSError):  # neither the source's folder nor the user's can keep it
            return njit(list(signatures), **how)(function)

    return decorate


@intrinsic
def bits_of(typing_context: Any, number: Any) -> Any:
    """The 32 bits of an fp32 number, as uint32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), code


@intrinsic
def float_of(typing_context: Any, bits: Any) -> Any:
    """The fp32 number of 32 bits."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), code


@intrinsic
def halves_of_product(typing_context: Any, one: Any, other: Any) -> Any:
    """The upper and the lower 64 bits of the product of two uint64, from one multiplication."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, half = ir.IntType(128), ir.IntType(64)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        upper = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), half)
        halves = [upper, builder.trunc(product, half)]
        return context.make_tuple(builder, signature.return_type, halves)

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), code


LANES = 32  # numbers that `within` looks at


@intrinsic
def within(typing_context: Any, address: Any, low: Any, width: Any) -> Any:
    """Of `LANES` fp32 numbers at an address: which magnitudes have bits low..low+width-1.

    A bit for each, the lowest for the first.
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
    """How many bits of an uint32 are 1."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint32(types.uint32), code


@intrinsic
def lowest_one(typing_context: Any, bits: Any) -> Any:
    """Which bit of an uint32 that is not 0 is the lowest 1."""

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
    """Elements start..stop-1 of an fp32 array of which only the address is known."""
    return carray(_floats(address + 4 * start), (stop - start,))


@njit
def booleans_at(address, start, stop):
    """The same of an array of booleans."""
    return carray(_booleans(address + start), (stop - start,))


@njit
def aligned_floats(size):
    """A new fp32 array that begins where a line of the cache does, as vectors like it."""
    line, item = 64, 4
    array = np.empty(size + line // item, np.float32)
    skipped = -array.ctypes.data % line // item
    return array[skipped : skipped + size]
