"""What a merge asks of the disk, where systems differ: room for a file, and to hold what it got."""

from __future__ import annotations

import fcntl
import mmap
import os
from contextlib import suppress
from pathlib import Path


def reserve(descriptor: int, size: int) -> None:
    """Make an empty open file `size` bytes long, of zeros.

    Raises OSError where the disk has no room for it. macOS does not look: there, the write that
    finds no room raises it.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def hand_over(descriptor: int, start: int = 0, stop: int | None = None) -> None:
    """Have the system begin to write an open file, and let go of the memory of what is written.

    start, stop: of which bytes, less the pages that they lie in; all by default. A slow disk makes
    this wait until it has taken the bytes into its queue.
    """
    if hasattr(os, "posix_fadvise"):
        length = 0 if stop is None else stop - stop % mmap.PAGESIZE - start
        if stop is None or length > 0:  # 0 stands for all
            with suppress(OSError):  # it is advice
                os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def sync_data(descriptor: int) -> None:
    """Wait until the disk holds the bytes of an open file that is as long as it was."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        _sync(descriptor)


def sync(path: Path) -> None:
    """Wait until the disk holds a file or a folder's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS, whose fsync leaves bytes in the drive's own memory
        with suppress(OSError):  # network drives and the like know fsync only
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)
