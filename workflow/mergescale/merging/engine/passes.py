"""Passes over all models before a merge: histograms of magnitudes, and where ties end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any, NamedTuple

from mergescale.checkpoints.blocks import BLOCK, Block
from mergescale.merging.engine.delta_reader import DeltaReader
from mergescale.merging.ops.quantile import (
    CoarseHistogram,
    FineHistogram,
    count_equal,
    first_beyond,
)

SAMPLED = 16
"""One of this many blocks is in the sample."""

MIN_SAMPLE_BLOCKS = 32
"""A smaller sample is not used."""


def sample_blocks(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """The smallest blocks that are a sample of tensors of these lengths.

    One of every `SAMPLED`, a different one each time, so that each tensor has its share and the
    sample is not in step with a model's layers.

    Returns:
        (number of the tensor, first element) of each; empty if they would be too few.
    """
    sample = []
    before = 0
    for which, length in enumerate(lengths):
        blocks = -(-length // BLOCK)
        for group in range(before // SAMPLED, -(-(before + blocks) // SAMPLED)):
            number = group * SAMPLED + 7 * group % SAMPLED - before
            if 0 <= number < blocks:
                sample.append((which, number * BLOCK))
        before += blocks
    return sample if len(sample) >= MIN_SAMPLE_BLOCKS else []


def sampled_fraction(lengths: Sequence[int]) -> float:
    """The fraction of all elements that is in the sample."""
    sampled = sum(min(BLOCK, lengths[which] - start) for which, start in sample_blocks(lengths))
    return sampled / max(1, sum(lengths))


class HistogramPass:
    """Histograms of task vectors in some tensors taken together.

    Attributes:
        reader: Reads the task vectors.
        names: Names of the tensors.
        lengths: Their elements.
        elements: Elements of all of them, of one expert.
    """

    def __init__(
        self, reader: DeltaReader, names: Sequence[str], on_progress: Callable[[int], None]
    ) -> None:
        self.reader, self.names, self.on_progress = reader, names, on_progress
        self.lengths = [reader.base.tensors[name].elements for name in names]
        self.elements = sum(self.lengths)

    @cached_property
    def sample(self) -> list[Block]:
        """The blocks of the sample."""
        return [
            Block(self.names[which], start, min(start + BLOCK, self.lengths[which]))
            for which, start in sample_blocks(self.lengths)
        ]

    def scan_sample(self, experts: Sequence[int]) -> dict[int, CoarseHistogram]:
        """Count the sample: {number of an expert: its histogram}."""
        compiled = self.reader.compiled
        found = self._scan(self.sample, {n: lambda: [CoarseHistogram(compiled)] for n in experts})
        return {n: coarse for n, (coarse,) in found.items()}

    def scan(
        self, bins: Mapping[int, set[int]], coarse: Collection[int]
    ) -> tuple[dict[int, FineHistogram], dict[int, CoarseHistogram]]:
        """Count all entries.

        Args:
            bins: {number of an expert: coarse bins in which it is counted finely}.
            coarse: Numbers of the experts that are counted coarsely as well.

        Returns:
            {number of an expert: its histogram}, fine and coarse.
        """
        compiled = self.reader.compiled

        def maker(n: int, own: set[int]) -> Callable[[], list[Any]]:
            return lambda: [
                FineHistogram(own, compiled),
                *([CoarseHistogram(compiled)] if n in coarse else []),
            ]

        blocks = list(self.reader.blocks(self.names))
        found = self._scan(blocks, {n: maker(n, own) for n, own in bins.items()})
        return {n: own[0] for n, own in found.items()}, {n: found[n][1] for n in coarse}

    def _scan(
        self, blocks: Sequence[Block], makers: Mapping[int, Callable[[], list[Any]]]
    ) -> dict[int, list[Any]]:
        """{number of an expert: the histograms of its maker, with the entries of all blocks}."""
        own = threading.local()
        per_thread: list[dict[int, list[Any]]] = []
        lock = threading.Lock()

        def count(block: Block) -> None:
            if not hasattr(own, "histograms"):
                own.histograms = {number: make() for number, make in makers.items()}
                with lock:
                    per_thread.append(own.histograms)
            _, deltas = self.reader.deltas(block, list(makers))
            for number, delta in zip(makers, deltas, strict=True):
                values = delta.cpu()
                for histogram in own.histograms[number]:
                    histogram.add(values)

        for block, _ in self.reader.map(count, blocks):
            self.on_progress(self.reader.bytes_of(block, makers))
        total, *others = per_thread
        for histograms in others:
            for number, of_expert in histograms.items():
                for histogram, other in zip(total[number], of_expert, strict=True):
                    histogram.merge(other)
        return total


class TieBudget(NamedTuple):
    """How many of the entries that tie with `threshold` are kept; there are more of them."""

    threshold: float
    entries: int


def locate_tie_cutoffs(
    reader: DeltaReader,
    budgets: Mapping[tuple[int, int], TieBudget],
    names: Sequence[str],
    on_progress: Callable[[int], None],
) -> dict[tuple[int, int], tuple[str, int]]:
    """Find the first tie that is not kept, counting ties in the order of the tensors' names.

    The pass ends as soon as all are found; then one block is read again for each.

    Args:
        reader: Reads the task vectors.
        budgets: {(number of an expert, anything): its budget}.
        names: Names of the tensors, taken together.
        on_progress: Called with the bytes read.

    Returns:
        {key of `budgets`: (tensor, flat index)}.
    """
    left = dict(budgets)
    located: dict[tuple[int, int], tuple[Block, TieBudget]] = {}

    def count(block: Block) -> tuple[list[int], dict[tuple[int, int], int]]:
        open_budgets = dict(left)
        experts = sorted({n for n, _ in open_budgets})
        _, deltas = reader.deltas(block, experts)
        own = {n: delta.cpu() for n, delta in zip(experts, deltas, strict=True)}
        return experts, {
            key: count_equal(own[key[0]], budget.threshold, reader.compiled)
            for key, budget in open_budgets.items()
        }

    with closing(reader.map(count, reader.blocks(sorted(names)))) as counted:
        for block, (experts, counts) in counted:
            on_progress(reader.bytes_of(block, experts))
            for key, budget in list(left.items()):
                if counts[key] > budget.entries:
                    located[key] = block, left.pop(key)
                else:
                    left[key] = TieBudget(budget.threshold, budget.entries - counts[key])
            if not left:
                break

    def locate(block: Block) -> dict[tuple[int, int], tuple[str, int]]:
        ends = {}
        for key, (own, budget) in located.items():
            if own == block:
                _, (delta,) = reader.deltas(block, [key[0]])
                ends[key] = block.tensor, block.start + first_beyond(delta.cpu(), *budget)
        return ends

    ends = {}
    # In threads again, so that no other memory is needed than what the memory limit counts.
    for _, here in reader.map(locate, dict.fromkeys(block for block, _ in located.values())):
        ends |= here
    return ends
