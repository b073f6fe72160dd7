"""Thresholds of task vectors, found in a look at all their entries, or in two.

A sample of the blocks tells about where a threshold lies. One look at everything then counts the
entries above that neighbourhood, and those in it one by one; if the wanted rank is among these, the
threshold is found, exactly. If not (and for small models, where a sample tells little), two looks
find it for certain: one for the upper half of its bits, one for the lower.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from mergescale.merging.histogram import LowerHalves, UpperHalves
from mergescale.merging.streaming.pieces import BLOCK, Piece, in_order, pieces
from mergescale.merging.threshold import certain, kept_count

if TYPE_CHECKING:
    from mergescale.merging.streaming.stream import Engine

SAMPLED = 16  # a block of so many is in the sample
_LEAST_SAMPLE = 32  # blocks: fewer are no sample
_MOST_BINS = 4  # where a guess needs more, each of 512 kB a thread and expert, it is none

# A share of the entries that are kept: density and rounding, as in `Threshold`.
Share = tuple[float, str]


def thresholds(
    engine: Engine,
    wanted: Mapping[str, set[Share]],
    names: Sequence[str],
    progress: Callable[[int], None],
) -> dict[tuple[str, Share], float]:
    """Thresholds of several experts at once, in the tensors called `names` taken together.

    wanted: {expert: shares}. progress: told of bytes read.
    """
    look = _Look(engine, names, progress)
    ranks: dict[int, dict[Share, int]] = {
        engine.names.index(expert): {s: kept_count(look.elements, *s) for s in sorted(shares)}
        for expert, shares in wanted.items()
    }
    found: dict[tuple[int, int], float | None] = {
        (n, rank): certain(look.elements, rank) for n, own in ranks.items() for rank in own.values()
    }

    def missing() -> dict[int, list[int]]:
        left: dict[int, list[int]] = {}
        for (n, rank), value in found.items():
            if value is None:
                left.setdefault(n, []).append(rank)
        return left

    if missing() and len(look.sample) >= _LEAST_SAMPLE:
        found |= _in_one_look(look, missing())
    if missing():
        found |= _in_two_looks(look, missing())
    return {
        (engine.names[n], share): found[n, rank]
        for n, own in ranks.items()
        for share, rank in own.items()
    }


def expected_looks(elements: Iterable[int]) -> float:
    """How often `thresholds` reads tensors of these lengths, unless the sample misleads."""
    blocks = sum(-(-length // BLOCK) for length in elements)
    return 1 + 1 / SAMPLED if blocks >= SAMPLED * _LEAST_SAMPLE else 2


class _Look:
    """Histograms of experts' task vectors, over all pieces of some tensors or a sample of them."""

    def __init__(
        self, engine: Engine, names: Sequence[str], progress: Callable[[int], None]
    ) -> None:
        self.engine, self.progress = engine, progress
        self.all = list(pieces(engine.base, engine.elements, names))
        # Every so many-th, so that each tensor has its share in it.
        every = pieces(engine.base, BLOCK, names)
        self.sample = list(islice(every, SAMPLED // 2, None, SAMPLED))
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
) -> dict[tuple[int, int], float | None]:
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


def _in_two_looks(look: _Look, wanted: Mapping[int, list[int]]) -> dict[tuple[int, int], float]:
    """{(expert, rank): the entry}."""
    loops = look.engine.compiled
    upper = look.at(look.all, {n: lambda: UpperHalves(loops) for n in wanted})
    bins = {n: {upper[n].find(rank) for rank in ranks} for n, ranks in wanted.items()}
    return _counted(look, wanted, bins)


def _counted(
    look: _Look, wanted: Mapping[int, list[int]], bins: Mapping[int, set[int]]
) -> dict[tuple[int, int], float | None]:
    """{(expert, rank): the entry, None where it lies in none of these bins}; one look."""
    loops = look.engine.compiled
    lower = look.at(
        look.all, {n: lambda own=own: LowerHalves(own, loops) for n, own in bins.items()}
    )
    return {(n, rank): lower[n].value(rank) for n, ranks in wanted.items() for rank in ranks}
