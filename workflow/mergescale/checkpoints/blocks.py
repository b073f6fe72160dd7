"""How a pass over models is cut: pieces of tensors, worked on by threads, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from mergescale.checkpoints.reader import CheckpointReader

BLOCK = 1 << 16  # elements; pieces begin at multiples of it
# Of one thread's pieces and temporaries together, by device; so that memory does not grow with the
# number of experts, pieces become smaller. On a CPU, the arrays of larger pieces leave its cache;
# with smaller ones, threads wait for each other (for the interpreter) more than they compute.
WORKING_BYTES = {"cpu": 44_000_000, "cuda": 600_000_000}
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)  # models of 64B have hundreds of thousands
class Block:
    """Elements start..stop-1 (flat indices) of a tensor."""

    tensor: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def element_bytes(experts: int) -> int:
    """Bytes of working memory for each element of a piece: what one thread holds at most."""
    raw, fp32 = 8, 4
    return raw + fp32 * (1 + experts) + method_bytes(experts)


def method_bytes(experts: int) -> int:
    """Those among them that methods may hold, of each element."""
    return 10 * experts + 40


def temporary_bytes(experts: int) -> int:
    """Those among them that the formula of one method needs on its way, and what it writes."""
    return 4 * (experts + 5)


def block_elements(
    experts: int, threads: int, memory: int | None = None, device: str = "cpu"
) -> int:
    """Elements of a piece such that all threads together stay within `memory` bytes.

    memory: None for as much as the fastest pieces take.
    Raises ValueError where not even the smallest piece fits.
    """
    least = BLOCK * element_bytes(experts)
    each = max(least, WORKING_BYTES[device.partition(":")[0]])
    if memory is not None:
        each = min(each, memory // threads)
    if each < least:
        raise ValueError(
            f"{memory:,} bytes of memory are too few to merge {experts} experts with {threads} "
            f"threads: {threads * least:,} are needed; give more by --memory-limit, or take fewer "
            "by --threads"
        )
    return each // least * BLOCK


def pieces(
    source: CheckpointReader, elements: int, names: Iterable[str] | None = None
) -> Iterator[Block]:
    """All tensors of `source` (or some) in file order, in pieces of at most `elements` elements."""
    step = max(BLOCK, elements // BLOCK * BLOCK)
    for name in source.tensors if names is None else names:
        length = source.tensors[name].elements
        for start in range(0, length, step):
            yield Block(name, start, min(start + step, length))


def map_in_order(
    work: Callable[[Block], Result], todo: Iterable[Block], threads: int
) -> Iterator[tuple[Block, Result]]:
    """Each piece with the result of `work` on it, in the order of `todo`.

    At most two pieces a thread are under way or waiting, so that memory does not grow with their
    number. The first error ends the pass.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="merge") as pool:
        waiting: deque = deque()
        try:
            for piece in todo:
                waiting.append((piece, pool.submit(work, piece)))
                if len(waiting) >= 2 * threads:
                    done, result = waiting.popleft()
                    yield done, result.result()
            while waiting:
                done, result = waiting.popleft()
                yield done, result.result()
        finally:
            for _, result in waiting:
                result.cancel()
