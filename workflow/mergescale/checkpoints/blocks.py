"""Blocks: the contiguous ranges of tensors in which models are read, merged and written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from mergescale.checkpoints.reader import CheckpointReader

BLOCK = 1 << 16
"""Elements of the smallest block; every block begins at a multiple of it."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)  # a model of 64B parameters has hundreds of thousands
class Block:
    """The elements start..stop-1 (flat indices) of a tensor."""

    tensor: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def round_up(elements: int) -> int:
    """The number of elements rounded up to whole smallest blocks, at least one."""
    return max(1, -(-elements // BLOCK)) * BLOCK


def iter_blocks(
    reader: CheckpointReader, elements: int, names: Iterable[str] | None = None
) -> Iterator[Block]:
    """Cut tensors into blocks.

    Args:
        reader: The model.
        elements: Elements of a block at most, a multiple of `BLOCK`.
        names: The tensors to cut, in this order; all in the order of the files by default.
    """
    for name in reader.tensors if names is None else names:
        length = reader.tensors[name].elements
        for start in range(0, length, elements):
            yield Block(name, start, min(start + elements, length))


def map_in_order(
    work: Callable[[Block], Result], blocks: Iterable[Block], threads: int
) -> Iterator[tuple[Block, Result]]:
    """Yield each block with the result of `work` on it, in the order of `blocks`.

    At most two blocks per thread are in progress or waiting, so memory does not grow with their
    number. The first error ends the iteration.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="merge") as pool:
        waiting: deque = deque()
        try:
            for block in blocks:
                waiting.append((block, pool.submit(work, block)))
                if len(waiting) >= 2 * threads:
                    done, result = waiting.popleft()
                    yield done, result.result()
            while waiting:
                done, result = waiting.popleft()
                yield done, result.result()
        finally:
            for _, result in waiting:
                result.cancel()
