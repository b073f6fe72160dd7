"""A merged model as it is written: headers first, then every piece at its place, the name last.

The folder appears under its name only when it is whole. Until then it is a hidden sibling, in which
a stopped merge goes on; only one process at a time may write there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from mergescale.checkpoints.blocks import Block
from mergescale.checkpoints.folder import INDEX, copy_companions
from mergescale.checkpoints.layout import MASKS, Layout, plan_layout
from mergescale.checkpoints.reader import CheckpointReader
from mergescale.checkpoints.writeback import hand_over, reserve, sync_data
from mergescale.checkpoints.writeback import sync as bring_to_disk

_WRITE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass
class CheckpointWriter:
    """One merged model under construction.

    Attributes:
        folder: where it will appear.
        base: the model whose tensors, configuration and tokenizer it shares.
        dtype: of its floating-point tensors: float32, bfloat16 or float16; others stay as they are.
        shard_bytes: most bytes in one file of weights.
        masks: names of boolean masks that are written for each floating-point tensor.
        layout: where in which file its tensors lie.
    """

    folder: Path
    base: CheckpointReader
    dtype: str
    shard_bytes: int
    masks: tuple[str, ...] = ()
    layout: Layout = field(init=False, repr=False)
    _open: dict[Path, int] = field(default_factory=dict, repr=False)
    _lock: int = field(default=-1, repr=False)
    _made: list[Path] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.layout = plan_layout(self.base, self.dtype, self.shard_bytes, self.masks)

    @property
    def partial(self) -> Path:
        """Where it is until it is whole."""
        return self.folder.parent / f".{self.folder.name}.partial"

    @property
    def bytes(self) -> int:
        """Bytes of all its files of weights and masks."""
        return sum(size for _, size in self.layout.heads.values())

    @property
    def begun(self) -> bool:
        """Whether all its files are there at full length."""
        return self._whole_in(self.partial)

    @property
    def finished(self) -> bool:
        """Whether all its files are there at full length under the final name."""
        return self._whole_in(self.folder)

    def lock(self) -> None:
        """Make the hidden folder and keep other processes out of it.

        Raises BlockingIOError if another process writes there, OSError where nothing can be
        written.
        """
        self._made = [path for path in self.folder.parents if not path.exists()]
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if self.partial.is_symlink():  # what it points to is not ours to empty
            raise FileExistsError(f"{self.partial} is a link: remove it")
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

    def start(self, anew: bool) -> None:
        """Make its files at full length, or (not `anew`) open those that are there; after `lock`.

        Raises OSError where the disk is too small: that shows here, not at the end (but on macOS).
        """
        if anew:
            for path in self.partial.iterdir():
                if path.name != ".lock":
                    deep = path.is_dir() and not path.is_symlink()
                    shutil.rmtree(path) if deep else path.unlink()
        for file, (head, size) in self.layout.heads.items():
            path = self.partial / file
            descriptor = os.open(path, _WRITE, 0o644)
            self._open[file] = descriptor
            if anew:
                with _naming(self.folder / file, size):
                    reserve(descriptor, size)
                    os.pwrite(descriptor, head, 0)

    def write(self, piece: Block, values: memoryview, mask: str | None = None) -> None:
        """The bytes of a piece at their place; safe to call from several threads."""
        name = piece.tensor if mask is None else f"{mask}.{piece.tensor}"
        file, offset, item_bytes = self.layout.places[name]
        at, done = offset + piece.start * item_bytes, 0
        with _naming(self.folder / file, self.layout.heads[file][1]):
            while done < len(values):
                done += os.pwrite(self._open[file], values[done:], at + done)

    def item_bytes(self, tensor: str) -> int:
        """Bytes of an element of a tensor as it is written."""
        return self.layout.places[tensor][2]

    def hand_over(self, last: Block, ended: Event) -> None:
        """Have the system take to the disk what was written up to a piece, in order of the files.

        A page that the next piece begins in stays, since it would have to be read back.
        """
        file, offset, item_bytes = self.layout.places[last.tensor]
        descriptors = dict(self._open)  # another thread may close them
        for name, descriptor in descriptors.items():
            if ended.is_set() or name == file:
                break
            hand_over(descriptor)
        if not ended.is_set() and file in descriptors:
            hand_over(descriptors[file], 0, offset + last.stop * item_bytes)
        for start, stop in self.layout.mask_ranges(last) if Path(MASKS) in descriptors else ():
            if not ended.is_set():
                hand_over(descriptors[Path(MASKS)], start, stop)

    def sync(self) -> None:
        """Bring to the disk what was written so far."""
        for descriptor in list(self._open.values()):  # another thread may close them
            sync_data(descriptor)

    def finish(self, record: Mapping, card: str, sync: bool = True) -> None:
        """Add index, configuration, tokenizer, merge.json and model card; then take the name.

        sync: only when all is on the disk.
        """
        if len(set(self.layout.index.values())) > 1:
            total = sum(size - len(head) for head, size in self.layout.heads.values())
            index = {"metadata": {"total_size": total}, "weight_map": self.layout.index}
            _write_text(self.partial / INDEX, json.dumps(index, indent=2, sort_keys=True) + "\n")
        copy_companions(self.base.folder, self.partial, self.dtype)
        _write_text(
            self.partial / "merge.json", json.dumps(record, indent=2, sort_keys=True) + "\n"
        )
        _write_text(self.partial / "README.md", card)
        for name in ("journal.json", "journal.partial", ".lock"):
            (self.partial / name).unlink(missing_ok=True)
        if sync:
            for path in (*self.partial.iterdir(), self.partial):
                bring_to_disk(path)
        try:
            os.replace(self.partial, self.folder)  # on top of an empty folder too
        except OSError as error:
            raise OSError(
                f"{self.folder} appeared while it was made: remove it and merge again ({error})"
            ) from None
        if sync:
            bring_to_disk(self.folder.parent)
        self.close()

    def discard(self) -> None:
        """Remove the hidden folder, unless it is another process's, and folders made for it."""
        if self._lock >= 0:
            shutil.rmtree(self.partial, ignore_errors=True)
        self.close()
        for path in (self.partial, *self._made):
            with suppress(OSError):
                path.rmdir()  # if it is empty

    def release(self) -> None:
        """Close the files and remove the hidden folder if there is nothing in it to go on with."""
        begun = self._lock < 0 or any(path.name != ".lock" for path in self.partial.iterdir())
        self.close() if begun else self.discard()

    def close(self) -> None:
        """Close the files; another process may go on with them."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _whole_in(self, folder: Path) -> bool:
        files = [(folder / file, size) for file, (_, size) in self.layout.heads.items()]
        return all(path.is_file() and path.stat().st_size == size for path, size in files)


@contextmanager
def _naming(file: Path, size: int) -> Iterator[None]:
    """Errors of writing say which file and how large it is to become."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"{file} of {size:,} bytes cannot be written: {why}") from None


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
