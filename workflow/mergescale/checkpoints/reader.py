"""Reads a model folder as a stream: headers first, then any range of a tensor's elements."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
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

TORCH_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


@dataclass
class CheckpointReader:
    """The weights of a model, of which only the headers are in memory.

    Attributes:
        folder: The model's folder, or the single file that was opened.
        label: How messages call the model.
        tensors: {name: where it is}, in the order of files and bytes.
    """

    folder: Path
    label: str
    tensors: dict[str, TensorInfo]
    _open: dict[Path, int] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def open(cls, folder: str | Path, label: str | None = None) -> CheckpointReader:
        """Read the headers of a model folder, sharded or not, without a tied output embedding.

        Raises:
            ValueError: A shard is missing, weights are pickled, corrupt, truncated or quantized, or
                no tensor has floating-point numbers.
        """
        folder = Path(folder)
        tensors = read_headers(folder, weight_files(folder))
        check_index(folder, tensors)
        if not tensors:
            raise ValueError(f"{folder}: its weight files have no tensors")
        _check_not_quantized(folder, tensors)
        reader = cls(folder, label or str(folder), tensors)
        if is_tied_output(folder, reader.tensors, reader.same_bytes):
            del reader.tensors[OUTPUT_EMBEDDING]
        if not reader.elements:
            raise ValueError(
                f"{folder}: none of its tensors has floating-point numbers, so there is nothing to "
                "merge"
            )
        return reader

    @classmethod
    def open_file(cls, file: str | Path, label: str | None = None) -> CheckpointReader:
        """Read the header of a single safetensors file, such as a statistics file.

        Raises:
            ValueError: The file does not exist, or is not a complete safetensors file.
        """
        file = Path(file)
        return cls(file, label or str(file), read_headers(file, [file]))

    def read_bytes(
        self, tensor: TensorInfo, start: int, stop: int, buffer: memoryview
    ) -> memoryview:
        """Read the elements start..stop-1 (flat indices) of a tensor as raw bytes into `buffer`.

        Safe to call from several threads, each with its own buffer.

        Raises:
            ValueError: The file became shorter.
        """
        view = buffer[: (stop - start) * tensor.item_bytes]
        position, done = tensor.offset + start * tensor.item_bytes, 0
        descriptor = self._descriptor(tensor.file)
        while done < len(view):
            count = os.preadv(descriptor, [view[done:]], position + done)
            if count == 0:
                raise ValueError(f"{tensor.file} became shorter while it was read")
            done += count
        return view

    def read(self, tensor: TensorInfo, start: int, stop: int, buffer: memoryview) -> Tensor:
        """Read the elements start..stop-1 as a 1-D tensor of the stored dtype, in `buffer`."""
        import torch

        view = self.read_bytes(tensor, start, stop, buffer)
        return torch.frombuffer(view, dtype=getattr(torch, TORCH_DTYPES[tensor.dtype]))

    def same_bytes(self, first: TensorInfo, second: TensorInfo) -> bool:
        """Whether two tensors have the same dtype, shape and bytes."""
        if (first.dtype, first.shape) != (second.dtype, second.shape):
            return False
        step = 1 << 20
        buffers = [memoryview(bytearray(step * first.item_bytes)) for _ in range(2)]
        return all(
            self.read_bytes(first, start, min(start + step, first.elements), buffers[0])
            == self.read_bytes(second, start, min(start + step, first.elements), buffers[1])
            for start in range(0, first.elements, step)
        )

    @property
    def bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.bytes for tensor in self.tensors.values())

    @property
    def floating_bytes(self) -> int:
        """Bytes of all floating-point tensors."""
        return sum(tensor.bytes for tensor in self.tensors.values() if tensor.floating)

    @property
    def elements(self) -> int:
        """Elements of all floating-point tensors."""
        return sum(tensor.elements for tensor in self.tensors.values() if tensor.floating)

    def floating_tensors(self) -> list[str]:
        """Names of the floating-point tensors, in the order of the files."""
        return [tensor.name for tensor in self.tensors.values() if tensor.floating]

    def fingerprint(self) -> list[list]:
        """Path, size and modification time of each file: equal as long as they are unchanged."""
        files = sorted({tensor.file for tensor in self.tensors.values()})
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


def check_same_tensors(expert: CheckpointReader, base: CheckpointReader) -> None:
    """Check that two models have the same tensors, of the same shapes.

    Raises:
        ValueError: They do not; the message names the tensor and its shapes.
    """
    if missing := sorted(base.tensors.keys() - expert.tensors.keys()):
        raise ValueError(f"{expert.label} lacks {_listed(missing)}, which {base.label} has")
    if extra := sorted(expert.tensors.keys() - base.tensors.keys()):
        raise ValueError(f"{expert.label} has {_listed(extra)}, which {base.label} lacks")
    for name, tensor in base.tensors.items():
        own = expert.tensors[name]
        if own.shape != tensor.shape:
            raise ValueError(
                f"{expert.label}: tensor {name} has shape {own.shape}, "
                f"but {tensor.shape} in {base.label}"
            )
        if own.floating != tensor.floating:
            raise ValueError(
                f"{expert.label}: tensor {name} is {own.dtype}, but {tensor.dtype} in {base.label}"
            )


def read_headers(folder: Path, files: Iterable[Path]) -> dict[str, TensorInfo]:
    """The tensors of several files of a folder as {name: where it is}, in the order of the files.

    Raises:
        ValueError: A file is missing, truncated or corrupt, or a tensor is in two of them.
    """
    tensors: dict[str, TensorInfo] = {}
    for file in files:
        for tensor in read_header(file):
            if tensor.name in tensors:
                raise ValueError(
                    f"{folder}: tensor {tensor.name} is in {tensors[tensor.name].file.name} "
                    f"and in {file.name}"
                )
            tensors[tensor.name] = tensor
    return tensors


def _check_not_quantized(folder: Path, tensors: dict[str, TensorInfo]) -> None:
    """Raises ValueError for quantized weights, which a merge would silently copy from the base."""
    fix = "merge the weights that it was quantized from, in bfloat16 or wider"
    for name, tensor in tensors.items():
        if tensor.dtype.startswith("F") and not tensor.floating:
            raise ValueError(f"{folder}: tensor {name} is {tensor.dtype}, quantized: {fix}")
    config = folder / "config.json"
    if config.is_file() and read_config(folder).get("quantization_config"):
        raise ValueError(f"{config} has a quantization_config: {fix}")


def _listed(names: list[str]) -> str:
    if names == [OUTPUT_EMBEDDING]:
        return (
            f"{names[0]} (a copy of the input embedding needs tie_word_embeddings in config.json)"
        )
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"tensor{'s' if len(names) > 1 else ''} {', '.join(names[:3])}{more}"
