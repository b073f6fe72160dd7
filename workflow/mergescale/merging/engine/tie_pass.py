"""Of entries as large as a threshold, those that the share leaves room for: the first ones.

Found in a look that ends where there is no more room, and in one more piece for each threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from mergescale.checkpoints.blocks import Block, map_in_order, pieces
from mergescale.merging.ops.quantile import count_equal, first_beyond

if TYPE_CHECKING:
    from mergescale.merging.engine.engine import Engine


class TieBudget(NamedTuple):
    """For how many entries as large as `threshold` there is room; there are more of them."""

    threshold: float
    entries: int


def locate_tie_cutoff(
    engine: Engine,
    rooms: Mapping[tuple[int, int], TieBudget],
    names: Sequence[str],
    progress: Callable[[int], None],
) -> dict[tuple[int, int], tuple[str, int]]:
    """The place (tensor, flat index) of the first entry, as large, that there is no room for.

    rooms: {(number of an expert, whatever else): room}. names: of the tensors, taken together.
    """
    left = dict(rooms)
    found: dict[tuple[int, int], tuple[Block, TieBudget]] = {}

    def work(piece: Block) -> tuple[list[int], dict[tuple[int, int], int]]:
        wanted = dict(left)
        experts = sorted({n for n, _ in wanted})
        _, deltas = engine.reader.deltas(piece, experts)
        own = {n: delta.cpu() for n, delta in zip(experts, deltas, strict=True)}
        return experts, {
            key: count_equal(own[key[0]], room.threshold, engine.compiled)
            for key, room in wanted.items()
        }

    todo = pieces(engine.base, engine.elements, sorted(names))
    with closing(map_in_order(work, todo, engine.threads)) as looked:
        for piece, (experts, counts) in looked:
            progress(engine.bytes_of(piece, experts))
            for key, room in list(left.items()):
                if counts[key] > room.entries:
                    found[key] = piece, left.pop(key)
                else:
                    left[key] = TieBudget(room.threshold, room.entries - counts[key])
            if not left:
                break

    def place(piece: Block) -> dict[tuple[int, int], tuple[str, int]]:
        ends = {}
        for key, (of, room) in found.items():
            if of == piece:
                _, (delta,) = engine.reader.deltas(piece, [key[0]])
                ends[key] = piece.tensor, piece.start + first_beyond(delta.cpu(), *room)
        return ends

    ends = {}
    # By the engine's threads again: their memory is what a limit counts.
    again = dict.fromkeys(piece for piece, _ in found.values())
    for _, here in map_in_order(place, again, engine.threads):
        ends |= here
    return ends
