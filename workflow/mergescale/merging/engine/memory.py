"""How much memory a merge may use, and how large its blocks and how many its threads can be."""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from contextlib import suppress
from pathlib import Path

from mergescale.checkpoints.blocks import BLOCK, round_up
from mergescale.merging.ops.quantile import MAX_BINS

WORKING_BYTES = {"cpu": 44_000_000, "cuda": 600_000_000}
"""Bytes of one thread's block with all temporaries, by device; the number of experts decides how
many elements that is. On a CPU, larger blocks do not fit its cache; with smaller ones threads wait
for each other (for the interpreter lock) more than they compute."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
# One thread's histograms of one expert, coarse and fine.
_HISTOGRAM_BYTES = (1 << 15) * 8 + MAX_BINS * (1 << 16) * 8
# Per element of a square matrix: factors and workspace of a float64 SVD.
_DECOMPOSITION_BYTES = 80
_HEADROOM = 48_000_000  # allocator, Python objects, writing
_MAX_CACHED_FREE = 32_000_000  # bytes of freed memory that each thread may keep
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's names of what `mallopt` sets


def parse_bytes(text: str | int) -> int:
    """Parse `500MB`, `1.5 GiB` or a number of bytes.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(text, int) and not isinstance(text, bool) and text > 0:
        return text
    # At most so many digits that a float does not overflow.
    match = re.fullmatch(r"\s*(\d{1,99}(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", str(text).lower())
    count = int(float(match[1]) * (_UNITS | _BINARY)[match[2]]) if match else 0
    if count < 1:
        raise ValueError(f"{text!r} is not an amount of memory: write 500MB, 2GiB or a byte count")
    return count


def anonymous_memory() -> int:
    """Bytes of anonymous memory of this process; without /proc, its peak of all memory."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024
    except (OSError, TypeError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def element_bytes(experts: int, statistics_files: int = 0, *, whole_tensors: bool = False) -> int:
    """Bytes that one thread needs per element of a block: inputs, task vectors, temporaries.

    Args:
        experts: Number of experts.
        statistics_files: Number of statistics files of all experts together.
        whole_tensors: Whether a method decomposes whole matrices.
    """
    raw, fp32 = 8, 4
    decomposition = _DECOMPOSITION_BYTES if whole_tensors else 0
    return raw + fp32 * (1 + experts + statistics_files) + method_bytes(experts) + decomposition


def method_bytes(experts: int) -> int:
    """The part of `element_bytes` that methods may hold."""
    return 10 * experts + 40


def temporary_bytes(experts: int) -> int:
    """The part of `method_bytes` that a single formula, and the cast of its result, may need."""
    return 4 * (experts + 5)


def block_elements(
    experts: int,
    threads: int,
    memory: int | None = None,
    device: str = "cpu",
    *,
    statistics_files: int = 0,
    whole_tensor: int = 0,
) -> int:
    """Elements of a block such that all threads together stay within `memory`.

    Args:
        experts: Number of experts.
        threads: Blocks in progress at the same time.
        memory: Bytes; by default as many as the fastest blocks need.
        device: Where methods compute, "cpu" or "cuda".
        statistics_files: Number of statistics files of all experts together.
        whole_tensor: Elements of the largest tensor if a method needs tensors as a whole, else 0.

    Returns:
        A multiple of `BLOCK`.

    Raises:
        ValueError: Not even the smallest block fits.
    """
    each = element_bytes(experts, statistics_files, whole_tensors=whole_tensor > 0)
    smallest = (round_up(whole_tensor) if whole_tensor else BLOCK) * each
    budget = max(smallest, WORKING_BYTES[device.partition(":")[0]])
    if memory is not None:
        budget = min(budget, memory // threads)
    if budget < smallest:
        why = f", whose largest tensor of {whole_tensor:,} elements is merged as a whole"
        raise ValueError(
            f"{memory:,} bytes of memory are too few to merge {experts} experts with {threads} "
            f"threads{why if whole_tensor else ''}: {threads * smallest:,} are needed; raise "
            "--memory-limit or lower --threads"
        )
    return budget // (BLOCK * each) * BLOCK


def working_memory(limit: int, experts: int, threads: int) -> int:
    """What is left of a memory limit for blocks.

    Raises:
        ValueError: Nothing is left.
    """
    taken = anonymous_memory() + _HEADROOM + threads * experts * _HISTOGRAM_BYTES
    if taken >= limit:
        raise ValueError(
            f"--memory-limit is {limit:,} bytes, but {taken:,} are needed before the first weight "
            "is read: raise it"
        )
    return limit - taken


def max_threads(
    limit: int, experts: int, cores: int, *, statistics_files: int = 0, whole_tensor: int = 0
) -> int:
    """As many threads as there are cores, or as many as the memory limit allows; at least one."""
    for threads in range(cores, 1, -1):
        try:
            block_elements(
                experts,
                threads,
                working_memory(limit, experts, threads),
                statistics_files=statistics_files,
                whole_tensor=whole_tensor,
            )
            return threads
        except ValueError:
            continue
    return 1


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed temporaries for the next ones, in the whole process.

    By default it returns all of it to the operating system after each block, and getting it back
    takes longer than the arithmetic: this halves the time of DARE. Other C libraries ignore it.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _MAX_CACHED_FREE)
        libc.mallopt(_M_TRIM_THRESHOLD, _MAX_CACHED_FREE)
