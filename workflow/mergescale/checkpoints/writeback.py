"""Bringing written files to the disk: reserving space, fsync, and writeback in the background.

During a merge with large outputs a thread starts the writeback of what is finished. Little is then
left to wait for at the end, and the page cache stays with the inputs. It also spares a virtual
machine or container from fetching fresh memory for each page that is written, which can cost ten
times as much as the copying itself.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from mergescale.checkpoints.blocks import Block

MIN_OUTPUT_BYTES = 100_000_000
"""Outputs that are smaller together may stay in the page cache."""

_SECONDS_BETWEEN = 0.01


def reserve(descriptor: int, size: int) -> None:
    """Extend an empty open file to `size` bytes of zeros.

    Raises:
        OSError: The disk has no room. macOS does not reserve anything: there the write that finds
            no room raises it.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def start_writeback(descriptor: int, start: int = 0, stop: int | None = None) -> None:
    """Start writing an open file to the disk and drop the pages of what is written.

    A slow disk makes this wait until its queue has taken the bytes.

    Args:
        descriptor: The file.
        start: First byte.
        stop: End of the bytes, rounded down to whole pages; the file's end by default.
    """
    if hasattr(os, "posix_fadvise"):
        length = 0 if stop is None else stop - stop % mmap.PAGESIZE - start
        if stop is None or length > 0:  # 0 stands for the whole file
            with suppress(OSError):  # it is only advice
                os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def sync_data(descriptor: int) -> None:
    """Wait until the bytes of an open file, whose length is final, are on the disk."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        _fsync(descriptor)


def sync_path(path: Path) -> None:
    """Wait until a file, or the entries of a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync(descriptor: int) -> None:
    if hasattr(fcntl, "F_FULLFSYNC"):  # on macOS, fsync leaves bytes in the drive's own cache
        with suppress(OSError):  # network drives and the like only support fsync
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


class Output(Protocol):
    """What can be written back, such as a `CheckpointWriter`."""

    @property
    def bytes(self) -> int:
        """Bytes of all its files."""

    def writeback(self, last: Block, ended: threading.Event) -> None:
        """Start the writeback of everything up to a block; give up once `ended` is set."""


@contextmanager
def background_writeback(
    outputs: Sequence[Output], wait: bool
) -> Iterator[Callable[[Block], None]]:
    """Write back outputs from a thread of its own while this context is open.

    Args:
        outputs: The outputs; nothing is done if they are small.
        wait: At the end, wait for the writeback in progress, which can take long on a slow disk.

    Yields:
        A function to call with the last block, in file order, up to which all are written.
    """
    if sum(output.bytes for output in outputs) < MIN_OUTPUT_BYTES:
        yield lambda block: None
        return
    ended = threading.Event()
    latest: list[Block] = []

    def write_back() -> None:
        while not ended.wait(_SECONDS_BETWEEN):
            for output in outputs if latest else ():
                output.writeback(latest[-1], ended)

    def written_up_to(block: Block) -> None:
        latest[:] = [block]

    thread = threading.Thread(target=write_back, name="writeback", daemon=True)
    thread.start()
    try:
        yield written_up_to
    finally:
        ended.set()
        if wait:
            thread.join()
