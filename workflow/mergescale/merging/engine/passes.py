"""A look at task vectors: histograms of all entries of some tensors, or of a sample of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mergescale.checkpoints.blocks import BLOCK, Block, map_in_order, pieces
from mergescale.merging.ops.quantile import CoarseHistogram, FineHistogram

if TYPE_CHECKING:
    from mergescale.merging.engine.engine import Engine

SAMPLED = 16  # a block of so many is in the sample
MIN_SAMPLE_BLOCKS = 32  # blocks: fewer are no sample


def sample_of(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Blocks that are a sample of tensors of these lengths: (which tensor, first element).

    One of every so many, another one each time, so that tensors have their shares in it and it does
    not run in step with a model's layers. None where they are too few.
    """
    chosen = []
    before = 0
    for which, length in enumerate(lengths):
        blocks = -(-length // BLOCK)
        for group in range(before // SAMPLED, -(-(before + blocks) // SAMPLED)):
            number = group * SAMPLED + 7 * group % SAMPLED - before
            if 0 <= number < blocks:
                chosen.append((which, number * BLOCK))
        before += blocks
    return chosen if len(chosen) >= MIN_SAMPLE_BLOCKS else []


def sampled_share(lengths: Sequence[int]) -> float:
    """The share of all elements that are in the sample."""
    sampled = sum(min(BLOCK, lengths[which] - start) for which, start in sample_of(lengths))
    return sampled / max(1, sum(lengths))


class HistogramPass:
    """What can be looked at: some tensors of an engine's experts, taken together.

    progress: told of bytes read. elements: of one expert.
    """

    def __init__(
        self, engine: Engine, names: Sequence[str], progress: Callable[[int], None]
    ) -> None:
        self.engine, self.names, self.progress = engine, names, progress
        self.lengths = [engine.base.tensors[name].elements for name in names]
        self.elements = sum(self.lengths)

    @cached_property
    def sample(self) -> list[Block]:
        """The blocks of `sample_of`."""
        return [
            Block(self.names[which], start, min(start + BLOCK, self.lengths[which]))
            for which, start in sample_of(self.lengths)
        ]

    def scan_sample(self, experts: Sequence[int]) -> dict[int, CoarseHistogram]:
        """{number of an expert: its histogram in the sample}."""
        loops = self.engine.compiled
        found = self._at(self.sample, {n: lambda: [CoarseHistogram(loops)] for n in experts})
        return {n: upper for n, (upper,) in found.items()}

    def scan(
        self, bins: Mapping[int, set[int]], whole: Collection[int]
    ) -> tuple[dict[int, FineHistogram], dict[int, CoarseHistogram]]:
        """{number of an expert: its histogram in these bins}; in all bins, of those in `whole`."""
        loops = self.engine.compiled

        def maker(n: int, own: set[int]) -> Callable[[], list[Any]]:
            return lambda: [
                FineHistogram(own, loops),
                *([CoarseHistogram(loops)] if n in whole else []),
            ]

        todo = list(pieces(self.engine.base, self.engine.elements, self.names))
        found = self._at(todo, {n: maker(n, own) for n, own in bins.items()})
        return {n: own[0] for n, own in found.items()}, {n: found[n][1] for n in whole}

    def _at(
        self, todo: Sequence[Block], makers: Mapping[int, Callable[[], list[Any]]]
    ) -> dict[int, list[Any]]:
        """{number of an expert: what its maker makes, with all entries added}; not of nothing."""
        own = threading.local()
        every: list[dict[int, list[Any]]] = []
        lock = threading.Lock()

        def work(piece: Block) -> None:
            if not hasattr(own, "counts"):
                own.counts = {number: make() for number, make in makers.items()}
                with lock:
                    every.append(own.counts)
            _, deltas = self.engine.reader.deltas(piece, list(makers))
            for number, delta in zip(makers, deltas, strict=True):
                values = delta.cpu()
                for histogram in own.counts[number]:
                    histogram.add(values)

        for piece, _ in map_in_order(work, todo, self.engine.threads):
            self.progress(self.engine.bytes_of(piece, makers))
        total, *others = every
        for counts in others:
            for number, histograms in counts.items():
                for histogram, other in zip(total[number], histograms, strict=True):
                    histogram.merge(other)
        return total
