"""Writes a model folder block by block; it gets its name only when it is complete.

Headers are written first, then each block at its place. Until the end everything is in a hidden
folder beside the final one, in which an interrupted merge resumes; one process at a time may write
there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from threading import Event
from typing import NamedTuple

from mergescale.checkpoints.blocks import Block
from mergescale.checkpoints.folder import INDEX, WEIGHTS, copy_companions
from mergescale.checkpoints.reader import CheckpointReader
from mergescale.checkpoints.safetensors_header import ITEM_BYTES, encode_header
from mergescale.checkpoints.writeback import reserve, start_writeback, sync_data, sync_path

SAFETENSORS_DTYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
MASKS = "masks.safetensors"

_WRITE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
# A tensor's name, safetensors dtype and shape.
_Planned = tuple[str, str, tuple[int, ...]]


class Location(NamedTuple):
    """Where a tensor is: its file, its first byte there, and the bytes of an element."""

    file: Path
    offset: int
    item_bytes: int


@dataclass
class Layout:
    """Where each tensor of a model goes, known before the first one is computed.

    Attributes:
        locations: {tensor or mask: its location}.
        files: {file: (its header, bytes of the whole file)}.
        index: {tensor: name of its file}, without masks.
        masks: {mask: its first byte}.
    """

    locations: dict[str, Location] = field(default_factory=dict)
    files: dict[Path, tuple[bytes, int]] = field(default_factory=dict)
    index: dict[str, str] = field(default_factory=dict)
    masks: dict[str, int] = field(default_factory=dict)

    def add(self, file: Path, tensors: Sequence[_Planned]) -> None:
        """Add a file. Raises ValueError if two of its tensors have the same name."""
        head, starts = encode_header(tensors, {"format": "pt"})
        if len(starts) < len(tensors):  # masks of expert a.b and tensor c, and of a and b.c
            raise ValueError(f"{file} would have two tensors of the same name: rename the experts")
        end = len(head)
        for name, dtype, shape in tensors:
            self.locations[name] = Location(file, starts[name], ITEM_BYTES[dtype])
            end += prod(shape) * ITEM_BYTES[dtype]
        self.files[file] = (head, end)

    def mask_ranges(self, last: Block) -> Iterator[tuple[int, int]]:
        """First byte and end of each mask's values up to a block; nothing for other tensors."""
        for mask, start in self.masks.items():
            location = self.locations.get(f"{mask}.{last.tensor}")
            if location is not None:
                yield start, location.offset + last.stop * location.item_bytes


def plan_layout(
    base: CheckpointReader, dtype: str, shard_bytes: int, masks: Sequence[str]
) -> Layout:
    """Plan the files of a model with the tensors of `base`.

    Args:
        base: The model whose tensor names, shapes and order the new one has.
        dtype: Of the floating-point tensors; others keep theirs.
        shard_bytes: Bytes of weights in one file at most (a larger tensor gets its own file).
        masks: Names of boolean masks, each with one mask per floating-point tensor.

    Raises:
        ValueError: Two masks would have the same name.
    """
    shards: list[list[_Planned]] = [[]]
    filled = 0
    for tensor in base.tensors.values():
        own = SAFETENSORS_DTYPES[dtype] if tensor.floating else tensor.dtype
        size = tensor.elements * ITEM_BYTES[own]
        if shards[-1] and filled + size > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append((tensor.name, own, tensor.shape))
        filled += size
    files = [WEIGHTS]
    if len(shards) > 1:
        files = [
            f"model-{number:05d}-of-{len(shards):05d}.safetensors"
            for number in range(1, len(shards) + 1)
        ]
    layout = Layout()
    for file, tensors in zip(files, shards, strict=True):
        layout.add(Path(file), tensors)
        layout.index.update(dict.fromkeys((name for name, _, _ in tensors), file))
    floating = [tensor for tensor in base.tensors.values() if tensor.floating]
    planned = [(f"{m}.{tensor.name}", "BOOL", tensor.shape) for m in masks for tensor in floating]
    if planned:
        layout.add(Path(MASKS), planned)
        layout.masks = {m: layout.locations[f"{m}.{floating[0].name}"].offset for m in masks}
    return layout


@dataclass
class CheckpointWriter:
    """A model folder that is being written.

    Call `lock`, then `start`, `write` for each block, and `finish`; or `discard` it.

    Attributes:
        folder: The final folder.
        base: The model whose tensor names, configuration and tokenizer it shares.
        dtype: Of its floating-point tensors: float32, bfloat16 or float16; others keep theirs.
        shard_bytes: Bytes in one file of weights at most.
        masks: Names of boolean masks that are written for each floating-point tensor.
        layout: Where each tensor goes.
    """

    folder: Path
    base: CheckpointReader
    dtype: str
    shard_bytes: int
    masks: tuple[str, ...] = ()
    layout: Layout = field(init=False, repr=False)
    _open: dict[Path, int] = field(default_factory=dict, repr=False)
    _lock: int = field(default=-1, repr=False)
    _created_parents: list[Path] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.layout = plan_layout(self.base, self.dtype, self.shard_bytes, self.masks)

    @property
    def partial(self) -> Path:
        """The hidden folder that is renamed to `folder` at the end."""
        return self.folder.parent / f".{self.folder.name}.partial"

    @property
    def bytes(self) -> int:
        """Bytes of all its files of weights and masks."""
        return sum(size for _, size in self.layout.files.values())

    @property
    def resumable(self) -> bool:
        """Whether the hidden folder has all files at full length."""
        return self._has_all_files(self.partial)

    @property
    def finished(self) -> bool:
        """Whether the final folder has all files at full length."""
        return self._has_all_files(self.folder)

    def lock(self) -> None:
        """Create the hidden folder and lock it against other processes.

        Raises:
            BlockingIOError: Another process writes there.
            OSError: The folder cannot be created.
        """
        self._created_parents = [path for path in self.folder.parents if not path.exists()]
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if self.partial.is_symlink():  # emptying it would delete files elsewhere
            raise FileExistsError(f"{self.partial} is a symbolic link: remove it")
        self.partial.mkdir(exist_ok=True)
        lock = os.open(self.partial / ".lock", _WRITE, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The process that held it may have removed or renamed the folder since it was opened.
            if not os.path.samestat(os.fstat(lock), os.stat(self.partial / ".lock")):
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError):
            os.close(lock)
            raise BlockingIOError(f"another process is merging into {self.folder}") from None
        self._lock = lock

    def start(self, resume: bool) -> None:
        """Open its files after `lock`, creating them at full length unless they are resumed.

        Raises:
            OSError: The disk is too small. That shows here and not at the end (but on macOS).
        """
        if not resume:
            for path in self.partial.iterdir():
                if path.name != ".lock":
                    is_folder = path.is_dir() and not path.is_symlink()
                    shutil.rmtree(path) if is_folder else path.unlink()
        for file, (head, size) in self.layout.files.items():
            descriptor = os.open(self.partial / file, _WRITE, 0o644)
            self._open[file] = descriptor
            if not resume:
                with _naming_file(self.folder / file, size):
                    reserve(descriptor, size)
                    os.pwrite(descriptor, head, 0)

    def write(self, block: Block, values: memoryview, mask: str | None = None) -> None:
        """Write the bytes of a block of a tensor, or of its mask; safe from several threads."""
        name = block.tensor if mask is None else f"{mask}.{block.tensor}"
        file, offset, item_bytes = self.layout.locations[name]
        position, done = offset + block.start * item_bytes, 0
        with _naming_file(self.folder / file, self.layout.files[file][1]):
            while done < len(values):
                done += os.pwrite(self._open[file], values[done:], position + done)

    def item_bytes(self, tensor: str) -> int:
        """Bytes of an element of a tensor as it is written."""
        return self.layout.locations[tensor].item_bytes

    def writeback(self, last: Block, ended: Event) -> None:
        """Start the writeback of everything up to a block, in the order of the files.

        The page in which the next block begins is left, since it would have to be read back.
        """
        file, offset, item_bytes = self.layout.locations[last.tensor]
        descriptors = dict(self._open)  # another thread may close them
        for name, descriptor in descriptors.items():
            if ended.is_set() or name == file:
                break
            start_writeback(descriptor)
        if not ended.is_set() and file in descriptors:
            start_writeback(descriptors[file], 0, offset + last.stop * item_bytes)
        for start, stop in self.layout.mask_ranges(last) if Path(MASKS) in descriptors else ():
            if not ended.is_set():
                start_writeback(descriptors[Path(MASKS)], start, stop)

    def sync(self) -> None:
        """Wait until everything written so far is on the disk."""
        for descriptor in list(self._open.values()):  # another thread may close them
            sync_data(descriptor)

    def finish(self, record: Mapping, card: str, sync: bool = True) -> None:
        """Add index, configuration, tokenizer, merge.json and model card, then rename the folder.

        Args:
            record: Content of merge.json.
            card: Content of README.md.
            sync: Rename only when everything is on the disk.
        """
        if len(set(self.layout.index.values())) > 1:
            total = sum(size - len(head) for head, size in self.layout.files.values())
            index = {"metadata": {"total_size": total}, "weight_map": self.layout.index}
            _write_text(self.partial / INDEX, json.dumps(index, indent=2, sort_keys=True) + "\n")
        copy_companions(self.base.folder, self.partial, self.dtype)
        _write_text(
            self.partial / "merge.json", json.dumps(record, indent=2, sort_keys=True) + "\n"
        )
        _write_text(self.partial / "README.md", card)
        for leftover in (*self.partial.glob("*journal.json*"), self.partial / ".lock"):
            leftover.unlink(missing_ok=True)
        if sync:
            for path in (*self.partial.iterdir(), self.partial):
                sync_path(path)
        try:
            os.replace(self.partial, self.folder)  # an empty folder is replaced too
        except OSError as error:
            raise OSError(
                f"{self.folder} was created by someone else meanwhile: remove it and merge again "
                f"({error})"
            ) from None
        if sync:
            sync_path(self.folder.parent)
        self.close()

    def discard(self) -> None:
        """Remove the hidden folder, unless another process has it, and the parents created."""
        if self._lock >= 0:
            shutil.rmtree(self.partial, ignore_errors=True)
        self.close()
        for path in (self.partial, *self._created_parents):
            with suppress(OSError):
                path.rmdir()  # only an empty one

    def release(self) -> None:
        """Close the files; remove the hidden folder if it has nothing to resume from."""
        begun = self._lock < 0 or any(path.name != ".lock" for path in self.partial.iterdir())
        self.close() if begun else self.discard()

    def close(self) -> None:
        """Close the files and release the lock; another process may resume."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _has_all_files(self, folder: Path) -> bool:
        files = [(folder / file, size) for file, (_, size) in self.layout.files.items()]
        return all(path.is_file() and path.stat().st_size == size for path, size in files)


@contextmanager
def _naming_file(file: Path, size: int) -> Iterator[None]:
    """Add to errors of writing which file it was and how large it should become."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"{file} of {size:,} bytes cannot be written: {reason}") from None


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
