"""Thresholds of task vectors, found in a look at all their entries, or in two.

A sample of the blocks tells about where a threshold lies. One look at everything then counts the
entries above that neighbourhood, and those in it one by one; if the wanted rank is among these, the
threshold is found, exactly. If not (and for small models, where a sample tells little), two looks
find it for certain: one for the upper half of its bits, one for the lower. One more finds the place
where entries that tie with it end, if there is room for some of them only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mergescale.merging.histogram import LowerHalves, Place, UpperHalves
from mergescale.merging.statistics import FIRST, Threshold
from mergescale.merging.streaming.first_entries import Room, first_beyond_room
from mergescale.merging.streaming.pieces import BLOCK, Piece, in_order, pieces
from mergescale.merging.threshold import Limit, certain, kept_count

if TYPE_CHECKING:
    from mergescale.merging.streaming.stream import Engine

SAMPLED = 16  # a block of so many is in the sample
_LEAST_SAMPLE = 32  # blocks: fewer are no sample
_MOST_BINS = 4  # where a guess needs more, each of 512 kB a thread and expert, it is none


def thresholds(
    engine: Engine,
    wanted: Mapping[str, set[Threshold]],
    names: Sequence[str],
    progress: Callable[[int], None],
) -> dict[tuple[str, Threshold], Limit]:
    """Thresholds of several experts at once, in the tensors called `names` taken together.

    wanted: {expert: thresholds}; their scope is not looked at. progress: told of bytes read.
    """
    look = _Look(engine, names, progress)
    ranks = {
        (expert, wish): (
            engine.names.index(expert),
            kept_count(look.elements, wish.density, wish.rounding),
        )
        for expert, wishes in wanted.items()
        for wish in wishes
    }
    known = {(n, rank): certain(look.elements, rank) for n, rank in ranks.values()}
    found: dict[tuple[int, int], Place | None] = {
        key: None for key, value in known.items() if value is None
    }

    def missing() -> dict[int, list[int]]:
        left: dict[int, list[int]] = {}
        for (n, rank), place in found.items():
            if place is None:
                left.setdefault(n, []).append(rank)
        return left

    if missing() and len(look.sample) >= _LEAST_SAMPLE:
        found |= _in_one_look(look, missing())
    if missing():
        found |= _in_two_looks(look, missing())
    of_first = {ranks[key] for key in ranks if key[1].at_threshold == FIRST}
    rooms = {
        (n, rank): Room(place.value, rank - place.larger)
        for (n, rank), place in found.items()
        # Zeros are the same whether they are kept or not.
        if (n, rank) in of_first and place.value and rank < place.larger + place.equal
    }
    ends = first_beyond_room(engine, rooms, names, progress) if rooms else {}
    limits = {}
    for (expert, wish), (n, rank) in ranks.items():
        if (n, rank) in found:
            end = ends.get((n, rank)) if wish.at_threshold == FIRST else None
            limits[expert, wish] = found[n, rank].limit(rank, end)
        else:
            limits[expert, wish] = Limit(known[n, rank], kept=rank)
    return limits


def expected_looks(elements: Iterable[int]) -> float:
    """How often `thresholds` reads tensors of these lengths, unless the sample misleads.

    Without the look for the first of the entries that tie: one at most, less where they are many.
    """
    blocks = sum(-(-length // BLOCK) for length in elements)
    return 1 + 1 / SAMPLED if blocks >= SAMPLED * _LEAST_SAMPLE else 2


class _Look:
    """Histograms of experts' task vectors, over all pieces of some tensors or a sample of them."""

    def __init__(
        self, engine: Engine, names: Sequence[str], progress: Callable[[int], None]
    ) -> None:
        self.engine, self.progress = engine, progress
        self.all = pieces(engine.base, engine.elements, names)
        # Every so many-th, so that each tensor has its share in it.
        self.sample = pieces(engine.base, BLOCK, names)[SAMPLED // 2 :: SAMPLED]
        self.elements = sum(len(piece) for piece in self.all)

    def at(self, todo: Sequence[Piece], makers: Mapping[int, Callable[[], Any]]) -> dict[int, Any]:
        """{number of an expert: a new histogram of its entries}."""
        if not makers:
            return {}
        own = threading.local()
        every: list[dict[int, Any]] = []
        lock = threading.Lock()

        def work(piece: Piece) -> None:
            if not hasattr(own, "counts"):
                own.counts = {number: make() for number, make in makers.items()}
                with lock:
                    every.append(own.counts)
            _, deltas = self.engine.reader.deltas(piece, list(makers))
            for number, delta in zip(makers, deltas, strict=True):
                own.counts[number].add(delta.cpu())

        for piece, _ in in_order(work, todo, self.engine.threads):
            self.progress(self.engine.bytes_of(piece, makers))
        total, *others = every
        for counts in others:
            for number, histogram in counts.items():
                total[number].merge(histogram)
        return total


def _in_one_look(
    look: _Look, wanted: Mapping[int, list[int]]
) -> dict[tuple[int, int], Place | None]:
    """{(expert, rank): the entry, None where the sample has pointed to the wrong bins}."""
    loops = look.engine.compiled
    upper = look.at(look.sample, {n: lambda: UpperHalves(loops) for n in wanted})
    sampled = sum(len(piece) for piece in look.sample) / look.elements
    guessed: dict[int, set[int]] = {n: set() for n in wanted}
    for n, ranks in wanted.items():
        for rank in ranks:
            bins = upper[n].near(max(1, round(rank * sampled)))
            guessed[n].update(bins if len(bins) <= _MOST_BINS else ())
    return _counted(look, wanted, guessed)


def _in_two_looks(look: _Look, wanted: Mapping[int, list[int]]) -> dict[tuple[int, int], Place]:
    """{(expert, rank): the entry}."""
    loops = look.engine.compiled
    upper = look.at(look.all, {n: lambda: UpperHalves(loops) for n in wanted})
    bins = {n: {upper[n].find(rank) for rank in ranks} for n, ranks in wanted.items()}
    return _counted(look, wanted, bins)


def _counted(
    look: _Look, wanted: Mapping[int, list[int]], bins: Mapping[int, set[int]]
) -> dict[tuple[int, int], Place | None]:
    """{(expert, rank): the entry, None where it lies in none of these bins}; one look."""
    loops = look.engine.compiled
    lower = look.at(
        look.all, {n: lambda own=own: LowerHalves(own, loops) for n, own in bins.items()}
    )
    return {(n, rank): lower[n].place(rank) for n, ranks in wanted.items() for rank in ranks}
