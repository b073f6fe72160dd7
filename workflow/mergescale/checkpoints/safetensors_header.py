"""Headers of safetensors files: which tensors are where, without reading the weights.

The format: 8 bytes little-endian length, that many bytes of JSON, then the tensors' bytes. Every
number in a header is untrusted and is checked against the file before it is used.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

# Bytes of an element by safetensors dtype.
ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
    "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
    "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
}  # fmt: skip
# What is merged; everything else is copied from the base.
FLOATING = ("F64", "F32", "F16", "BF16")
MAX_HEADER_BYTES = 100_000_000  # the limit of the reference implementation
MAX_DIMENSIONS = 64  # as in torch; also bounds the product of a hostile shape
_ALIGNMENT = 8


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file.

    Attributes:
        name: Its name.
        dtype: Its safetensors dtype, such as "BF16".
        shape: Its shape.
        file: The file.
        offset: Its first byte, counted from the beginning of the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def item_bytes(self) -> int:
        """Bytes of an element."""
        return ITEM_BYTES[self.dtype]

    @property
    def bytes(self) -> int:
        """Bytes of the tensor."""
        return self.elements * self.item_bytes

    @property
    def floating(self) -> bool:
        """Whether it has floating-point numbers that can be merged."""
        return self.dtype in FLOATING


def read_header(file: Path) -> list[TensorInfo]:
    """The tensors of a file in the order of their bytes.

    No allocation is larger than the file itself, whatever the header says.

    Raises:
        ValueError: The file cannot be read, is not a safetensors file, or is truncated or corrupt.
    """
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            first = stream.read(8)
            if len(first) < 8:
                raise ValueError(f"{file} has {size} bytes: that is not a safetensors file")
            (length,) = struct.unpack("<Q", first)
            if length > MAX_HEADER_BYTES or 8 + length > size:
                raise ValueError(
                    f"{file} is not a safetensors file, or it is truncated: its header should have "
                    f"{length} bytes, the file has {size}"
                )
            text = stream.read(length)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror or error}") from None
    try:
        # Decoded here: json itself would also take UTF-16, and halves of surrogate pairs.
        header = json.loads(text.decode(), object_pairs_hook=_reject_duplicates)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: the header is corrupt: {_short(error)}") from None
    if not isinstance(header, dict):
        raise ValueError(f"{file}: the header is corrupt: it must be a mapping")
    header.pop("__metadata__", None)
    data = 8 + length
    tensors = [_parse_entry(file, name, entry, data) for name, entry in header.items()]
    tensors.sort(key=lambda tensor: (tensor.offset, tensor.bytes))
    end = data
    for tensor in tensors:
        if tensor.offset != end:
            raise ValueError(
                f"{file}: the header is corrupt: tensor {_short(tensor.name)} begins at byte "
                f"{tensor.offset - data} of the data, but the one before ends at {end - data}"
            )
        end += tensor.bytes
    if end != size:
        what = "truncated" if size < end else "longer than its header says"
        raise ValueError(f"{file} is {what}: it has {size} bytes, its header describes {end}")
    return tensors


def encode_header(
    tensors: Iterable[tuple[str, str, tuple[int, ...]]], metadata: Mapping[str, str]
) -> tuple[bytes, dict[str, int]]:
    """Encode the header of a file.

    Args:
        tensors: (name, dtype, shape) of each tensor, in the order of their bytes.
        metadata: The header's `__metadata__`.

    Returns:
        The bytes before the data (length, JSON, padding to a multiple of 8 bytes), and {name:
        offset from the beginning of the file}.
    """
    content: dict[str, object] = {"__metadata__": dict(metadata)}
    starts, at = {}, 0
    for name, dtype, shape in tensors:
        end = at + prod(shape) * ITEM_BYTES[dtype]
        content[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, end]}
        starts[name], at = at, end
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    head = struct.pack("<Q", len(text)) + text
    return head, {name: len(head) + start for name, start in starts.items()}


def _parse_entry(file: Path, name: str, entry: object, data: int) -> TensorInfo:
    """Check a header's entry; the tensors' bytes start at byte `data` of the file."""

    def corrupt(why: str) -> ValueError:
        return ValueError(f"{file}: the header is corrupt: tensor {_short(name)} {why}")

    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise corrupt("has a name that is not valid text")
    if not isinstance(entry, dict):
        raise corrupt("must be described by a mapping")
    dtype, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise ValueError(
            f"{file}: tensor {_short(name)} has dtype {_short(dtype)}, must be one of "
            f"{', '.join(ITEM_BYTES)}"
        )
    if not _are_naturals(shape) or len(shape) > MAX_DIMENSIONS:
        raise corrupt(f"has shape {_short(shape)}")
    if not _are_naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise corrupt(f"has data_offsets {_short(offsets)}")
    tensor = TensorInfo(name, dtype, tuple(shape), file, data + offsets[0])
    if tensor.bytes != offsets[1] - offsets[0]:
        raise corrupt(
            f"has {offsets[1] - offsets[0]} bytes, but shape {_short(shape)} of {dtype} "
            f"needs {_short(tensor.bytes)}"
        )
    return tensor


def _are_naturals(values: object) -> bool:
    # In Python a bool is an int; in the format it is not.
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def _reject_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        seen: set[str] = set()
        duplicate = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"{_short(duplicate)} is there twice")
    return names


def _short(value: object) -> str:
    """An untrusted value for a message: one short line of printable characters."""
    try:
        text = str(value)
    except RecursionError:
        text = "nested too deep"
    text = text if len(text) <= 80 else f"{text[:77]}..."
    return text if text.isprintable() else ascii(text)
