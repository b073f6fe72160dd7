"""A model folder as a stream: its tensors by header, their elements in pieces of any size."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mergescale.checkpoints.folder import (
    OUTPUT_EMBEDDING,
    check_index,
    is_tied_output,
    read_config,
    weight_files,
)
from mergescale.checkpoints.safetensors_header import TensorInfo, read_header

if TYPE_CHECKING:
    from torch import Tensor

TORCH_NAMES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


@dataclass
class CheckpointReader:
    """The weights of one model folder, of which only headers are in memory.

    Attributes:
        folder: the Hugging Face folder.
        label: how messages call the model.
        tensors: {name: where it is}, in the order of files and bytes.
    """

    folder: Path
    label: str
    tensors: dict[str, TensorInfo]
    _open: dict[Path, int] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def open(cls, folder: str | Path, label: str | None = None) -> CheckpointReader:
        """Read the headers of a folder, sharded or not; a tied output embedding is left out.

        Raises ValueError in one sentence for missing shards, pickles, corrupt or truncated files,
        quantized weights, and folders without any floating-point number.
        """
        folder = Path(folder)
        tensors: dict[str, TensorInfo] = {}
        for file in weight_files(folder):
            for stored in read_header(file):
                if stored.name in tensors:
                    raise ValueError(
                        f"{folder}: tensor {stored.name} is in {tensors[stored.name].file.name} "
                        f"and in {file.name}"
                    )
                tensors[stored.name] = stored
        check_index(folder, tensors)
        if not tensors:
            raise ValueError(f"{folder}: its files of weights hold no tensors")
        _check_unquantized(folder, tensors)
        source = cls(folder, label or str(folder), tensors)
        if is_tied_output(folder, source.tensors, source.same_bytes):
            del source.tensors[OUTPUT_EMBEDDING]
        if not source.elements:
            raise ValueError(
                f"{folder}: none of its tensors holds floating-point numbers, so that there is "
                "nothing to merge"
            )
        return source

    def read_bytes(
        self, stored: TensorInfo, start: int, stop: int, buffer: memoryview
    ) -> memoryview:
        """Elements start..stop-1 (flat indices) of a tensor as raw bytes, into `buffer`.

        Safe to call from several threads, each with a buffer of its own.
        """
        view = buffer[: (stop - start) * stored.item_bytes]
        at, done = stored.offset + start * stored.item_bytes, 0
        descriptor = self._descriptor(stored.file)
        while done < len(view):
            got = os.preadv(descriptor, [view[done:]], at + done)
            if got == 0:
                raise ValueError(f"{stored.file} became shorter while it was read")
            done += got
        return view

    def read(self, stored: TensorInfo, start: int, stop: int, buffer: memoryview) -> Tensor:
        """Elements start..stop-1 as a 1-D tensor of the stored dtype, which lives in `buffer`."""
        import torch

        view = self.read_bytes(stored, start, stop, buffer)
        return torch.frombuffer(view, dtype=getattr(torch, TORCH_NAMES[stored.dtype]))

    def same_bytes(self, one: TensorInfo, other: TensorInfo) -> bool:
        """Whether two tensors hold the same bytes; looked at in pieces."""
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            return False
        piece = 1 << 20
        buffers = [memoryview(bytearray(piece * one.item_bytes)) for _ in range(2)]
        return all(
            self.read_bytes(one, at, min(at + piece, one.elements), buffers[0])
            == self.read_bytes(other, at, min(at + piece, one.elements), buffers[1])
            for at in range(0, one.elements, piece)
        )

    @property
    def bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(stored.bytes for stored in self.tensors.values())

    @property
    def elements(self) -> int:
        """Elements of all floating-point tensors."""
        return sum(stored.elements for stored in self.tensors.values() if stored.floating)

    def fingerprint(self) -> list[list]:
        """Name, size and time stamp of each file: whether it is still what it was."""
        files = sorted({stored.file for stored in self.tensors.values()})
        stats = [(file, file.stat()) for file in files]
        return [[str(file.resolve()), s.st_size, s.st_mtime_ns] for file, s in stats]

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            for descriptor in self._open.values():
                os.close(descriptor)
            self._open.clear()

    def __enter__(self) -> CheckpointReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _descriptor(self, file: Path) -> int:
        with self._lock:
            if file not in self._open:
                self._open[file] = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            return self._open[file]


def _check_unquantized(folder: Path, tensors: dict[str, TensorInfo]) -> None:
    """Raises ValueError for weights that a merge would take from the base without a word."""
    fix = "merge the weights that it was made from, in bfloat16 or wider"
    for name, stored in tensors.items():
        if stored.dtype.startswith("F") and not stored.floating:
            raise ValueError(f"{folder}: tensor {name} is {stored.dtype}, quantized: {fix}")
    config = folder / "config.json"
    if config.is_file() and read_config(folder).get("quantization_config"):
        raise ValueError(f"{config} has a quantization_config: {fix}")


def check_alike(expert: CheckpointReader, base: CheckpointReader) -> None:
    """Raises ValueError, naming tensor and shapes, unless both hold the same tensors."""
    if missing := sorted(base.tensors.keys() - expert.tensors.keys()):
        raise ValueError(f"{expert.label} lacks {_listed(missing)}, which {base.label} has")
    if extra := sorted(expert.tensors.keys() - base.tensors.keys()):
        raise ValueError(f"{expert.label} has {_listed(extra)}, which {base.label} lacks")
    for name, stored in base.tensors.items():
        theirs = expert.tensors[name]
        if theirs.shape != stored.shape:
            raise ValueError(
                f"{expert.label}: tensor {name} has shape {theirs.shape}, "
                f"but {stored.shape} in {base.label}"
            )
        if theirs.floating != stored.floating:
            raise ValueError(
                f"{expert.label}: tensor {name} is {theirs.dtype}, "
                f"but {stored.dtype} in {base.label}"
            )


def _listed(names: list[str]) -> str:
    if names == [OUTPUT_EMBEDDING]:
        return (
            f"{names[0]} (a copy of the input embedding needs tie_word_embeddings in config.json)"
        )
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"tensor{'s' if len(names) > 1 else ''} {', '.join(names[:3])}{more}"
