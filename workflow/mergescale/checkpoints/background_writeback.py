"""Large outputs go to the disk while the merge goes on, and leave the memory that they took.

So what is left to wait for at the end is little, the inputs stay in the page cache, and a virtual
machine or container need not be given fresh memory for every page that is written: where it must,
that costs ten times the copying.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mergescale.checkpoints.blocks import Block
from mergescale.checkpoints.writer import CheckpointWriter

LARGE = 100_000_000  # bytes of outputs; smaller ones may stay in the page cache
_SECONDS_BETWEEN = 0.01


@contextmanager
def handing_over(
    outputs: Sequence[CheckpointWriter], wait: bool
) -> Iterator[Callable[[Block], None]]:
    """Within this, what was written up to a piece is handed over soon after that is told.

    Yields what to tell: the last one of the pieces in file order of which none is missing. wait:
    at the end for what is being handed over, as on a slow disk that may take its time.
    """
    if sum(output.bytes for output in outputs) < LARGE:
        yield lambda piece: None
        return
    ended = threading.Event()
    reached: list[Block] = []

    def hand_over() -> None:
        while not ended.wait(_SECONDS_BETWEEN):
            for output in outputs if reached else ():
                output.hand_over(reached[-1], ended)

    def told(piece: Block) -> None:
        reached[:] = [piece]

    thread = threading.Thread(target=hand_over, name="hand-over", daemon=True)
    thread.start()
    try:
        yield told
    finally:
        ended.set()
        if wait:
            thread.join()
