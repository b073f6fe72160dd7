"""How loops are compiled: by numba, kept on disk, without python's lock while they run.

A loop does in one reading of its arrays what a formula elsewhere says in several torch operations,
in the same order of the same fp32 operations (nothing is fused or reordered): it gives the same
bits, which tests check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic


def compiled(*signatures: str) -> Callable[[Callable], Callable]:
    """A decorator: the function compiled for these types, or as kept from an earlier process.

    What is kept is known by its own file: after a change of this one, touch those of the loops.
    """

    def decorate(function: Callable) -> Callable:
        try:
            return njit(list(signatures), nogil=True, cache=True)(function)
        except (RuntimeError, OSError):  # neither the source's folder nor the user's can keep it
            return njit(list(signatures), nogil=True)(function)

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
def upper_half_of_product(typing_context: Any, one: Any, other: Any) -> Any:
    """The upper 64 bits of the product of two uint64."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, half = ir.IntType(128), ir.IntType(64)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), half)

    return types.uint64(types.uint64, types.uint64), code


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
