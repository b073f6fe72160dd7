"""How much memory a merge may take: what is allowed, less what the process holds already."""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from contextlib import suppress
from pathlib import Path

from mergescale.checkpoints.blocks import block_elements
from mergescale.merging.ops.quantile import MAX_BINS

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
# Each thread's histograms of one expert, both levels.
_HISTOGRAM_BYTES = (1 << 15) * 8 + MAX_BINS * (1 << 16) * 8
_HEADROOM = 48_000_000  # allocator, python objects, writing
_KEPT_FREE = 32_000_000  # bytes of freed memory that each thread may keep
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's names for what `mallopt` sets


def parse_bytes(text: str | int) -> int:
    """`500MB`, `1.5 GiB` or a number of bytes. Raises ValueError that says what is allowed."""
    if isinstance(text, int) and not isinstance(text, bool) and text > 0:
        return text
    # So many digits that no float overflows.
    found = re.fullmatch(r"\s*(\d{1,99}(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", str(text).lower())
    count = int(float(found[1]) * (_UNITS | _BINARY)[found[2]]) if found else 0
    if count < 1:
        raise ValueError(f"{text!r} is no amount of memory: write 500MB, 2GiB or a number of bytes")
    return count


def format_bytes(count: int) -> str:
    """So many bytes as people say it, in three digits: 950 B, 1.52 kB, 440 MB, 17.1 GB."""
    for unit, each in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= 0.9995 * each:
            whole = len(str(round(count / each)))
            return f"{count / each:.{max(0, 3 - whole)}f} {unit}"
    return f"{count} B"


def anonymous_memory() -> int:
    """Bytes of anonymous memory that this process holds now; of all, at its peak, without /proc."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024
    except (OSError, TypeError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def working_memory(limit: int, experts: int, threads: int) -> int:
    """What is left of `limit` for pieces. Raises ValueError where nothing is."""
    taken = anonymous_memory() + _HEADROOM + threads * experts * _HISTOGRAM_BYTES
    if taken >= limit:
        raise ValueError(
            f"memory_limit is {limit:,} bytes, but {taken:,} are needed before the first weight "
            "is read"
        )
    return limit - taken


def keep_freed_memory() -> None:
    """Have glibc keep the memory of freed temporaries for the next ones, in the whole process.

    By default it gives all back to the operating system at the end of each piece, and fetching it
    anew takes longer than the arithmetic: DARE needs half the time so. Other libraries of C are
    left as they are.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_FREE)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)


def max_threads(limit: int, experts: int, cores: int) -> int:
    """As many threads as there are cores, or fewer where memory is too little for so many."""
    for threads in range(cores, 1, -1):
        try:
            block_elements(experts, threads, working_memory(limit, experts, threads))
            return threads
        except ValueError:
            continue
    return 1
