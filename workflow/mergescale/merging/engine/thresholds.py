"""Exact magnitude thresholds of task vectors, from one or two passes over the files.

A sample of the blocks tells roughly where a threshold is. One pass over everything then counts the
entries above that range as a whole and those in it bit by bit; if the wanted rank is in the range,
the threshold is found, exactly. If not, that pass has shown how far off the sample was, and the
next one counts the corrected range, and all entries coarsely as well, which makes a further pass
certain to succeed. Small models, whose sample tells little, take two such passes from the start. If
only some of the entries that tie with the threshold are kept, a last pass finds where they end.

Thresholds are cached in files, so that a later merge of the same models needs no such pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path

from mergescale.checkpoints.reader import CheckpointReader
from mergescale.merging.engine.delta_reader import DeltaReader
from mergescale.merging.engine.passes import (
    HistogramPass,
    TieBudget,
    locate_tie_cutoffs,
    sampled_fraction,
)
from mergescale.merging.ops.quantile import MAX_BINS, CoarseHistogram, FineHistogram, RankPosition
from mergescale.merging.ops.trim import Cutoff, count_to_keep, trivial_threshold
from mergescale.merging.statistics import FIRST, MagnitudeThreshold
from mergescale.provenance.atomic import write_json
from mergescale.provenance.digests import record_digest

_CACHE_VERSION = 3


def compute_cutoffs(
    reader: DeltaReader,
    requested: Mapping[str, set[MagnitudeThreshold]],
    names: Sequence[str],
    on_progress: Callable[[int], None],
) -> dict[tuple[str, MagnitudeThreshold], Cutoff]:
    """Compute thresholds of several experts at once, in some tensors taken together.

    Args:
        reader: Reads the task vectors.
        requested: {expert: thresholds}; their scope is ignored.
        names: Names of the tensors.
        on_progress: Called with the bytes read.
    """
    histograms = HistogramPass(reader, names, on_progress)
    ranks = {
        (expert, spec): (
            reader.names.index(expert),
            count_to_keep(histograms.elements, spec.density, spec.rounding),
        )
        for expert, specs in requested.items()
        for spec in specs
    }
    known = {(n, rank): trivial_threshold(histograms.elements, rank) for n, rank in ranks.values()}
    positions = _find_ranks(histograms, {key for key, value in known.items() if value is None})
    first_only = {ranks[key] for key in ranks if key[1].ties == FIRST}
    budgets = {
        (n, rank): TieBudget(position.value, rank - position.larger)
        for (n, rank), position in positions.items()
        # Zeros are the same whether they are kept or not.
        if (n, rank) in first_only and position.value and rank < position.larger + position.equal
    }
    ends = locate_tie_cutoffs(reader, budgets, names, on_progress) if budgets else {}
    cutoffs = {}
    for (expert, spec), (n, rank) in ranks.items():
        if (n, rank) in positions:
            end = ends.get((n, rank)) if spec.ties == FIRST else None
            cutoffs[expert, spec] = positions[n, rank].cutoff(rank, end)
        else:
            cutoffs[expert, spec] = Cutoff(known[n, rank], num_kept=rank)
    return cutoffs


def max_passes(lengths: Sequence[int], thresholds: int) -> float:
    """How often `compute_cutoffs` reads tensors of these lengths, unless a sample misleads much.

    Args:
        lengths: Elements of the tensors.
        thresholds: Number of thresholds of an expert.

    Returns:
        Passes, of which the sample is a fraction; without the one that locates ties.
    """
    return 1 + -(-thresholds // MAX_BINS) + sampled_fraction(lengths)


def _find_ranks(
    histograms: HistogramPass, requested: set[tuple[int, int]]
) -> dict[tuple[int, int], RankPosition]:
    """The entries of these (number of an expert, rank)."""
    found: dict[tuple[int, int], RankPosition] = {}
    coarse: dict[int, CoarseHistogram] = {}
    estimates = _estimate_from_sample(histograms, sorted({n for n, _ in requested}))
    first = True
    while missing := requested - found.keys():
        ranks: dict[int, list[int]] = {}
        for n, rank in sorted(missing):
            ranks.setdefault(n, []).append(rank)
        bins: dict[int, set[int]] = {}
        uncertain = set()
        for n, own in ranks.items():
            if n in coarse:
                bins[n] = set(islice({coarse[n].find(rank): None for rank in own}, MAX_BINS))
            else:
                bins[n], complete = estimates[n].bins_of(own)
                if not first or not complete:
                    uncertain.add(n)  # counted coarsely too, so that the next pass is certain
        fine, more = histograms.scan(bins, uncertain)
        for n, rank in missing:
            position = fine[n].locate(rank)
            if position:
                found[n, rank] = position
            else:
                estimates[n].correct(fine[n])
        coarse |= more
        first = False
        del fine  # before the next ones are made
    return found


@dataclass
class _RankEstimate:
    """Where an expert's ranks may be, as far as a sample tells.

    Attributes:
        coarse: The sample's histogram; None without a sample.
        fraction: Of the expert's entries that are in it; corrected by what a pass has shown.
    """

    coarse: CoarseHistogram | None = None
    fraction: float = 0.0

    def bins_of(self, ranks: Sequence[int]) -> tuple[set[int], bool]:
        """Bins in which entries of these ranks may be, at most `MAX_BINS`; whether of all ranks."""
        found: set[int] = set()
        complete = self.coarse is not None
        for rank in ranks if self.coarse else ():
            bins = found | set(self.coarse.near(max(1, round(rank * self.fraction))))
            if len(bins) <= MAX_BINS:
                found = bins
            else:
                complete = False
        return found, complete

    def correct(self, fine: FineHistogram) -> None:
        """Learn from a pass over all entries which fraction of the large ones is in the sample."""
        if self.coarse is not None and fine.bins and fine.above[0]:
            sampled = int(self.coarse.counts[fine.bins[0] + 1 :].sum())
            self.fraction = sampled / int(fine.above[0])


def _estimate_from_sample(
    histograms: HistogramPass, experts: Sequence[int]
) -> dict[int, _RankEstimate]:
    """{number of an expert: what a sample tells}."""
    if not experts or not histograms.sample:
        return {n: _RankEstimate() for n in experts}
    fraction = sampled_fraction(histograms.lengths)
    return {n: _RankEstimate(c, fraction) for n, c in histograms.scan_sample(experts).items()}


@dataclass(frozen=True)
class ThresholdCache:
    """Thresholds in files, by everything that decides them.

    Attributes:
        folder: Where they are; None for no cache.
        base: The base. Models are identified by their files' paths, sizes and modification times.
    """

    folder: Path | None
    base: CheckpointReader

    def load(
        self, expert: CheckpointReader, spec: MagnitudeThreshold, names: Sequence[str]
    ) -> dict[str, Cutoff]:
        """The cached cutoffs of an expert, of these names; none from a damaged file."""
        if self.folder is None:
            return {}
        try:
            cached = json.loads(self._file(expert, spec).read_text())
            return {name: _parse_cutoff(cached[name]) for name in names if name in cached}
        except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
            return {}

    def store(
        self, expert: CheckpointReader, spec: MagnitudeThreshold, cutoffs: Mapping[str, Cutoff]
    ) -> None:
        """Write the cutoffs {name: cutoff} of an expert, if the folder can be written."""
        if self.folder is None:
            return
        content = {
            name: [cutoff.threshold.hex(), cutoff.tie_end, cutoff.num_kept]
            for name, cutoff in cutoffs.items()
        }
        try:
            write_json(self._file(expert, spec), content)
        except OSError:
            pass  # computed again next time

    def _file(self, expert: CheckpointReader, spec: MagnitudeThreshold) -> Path:
        key = [_CACHE_VERSION, self.base.fingerprint(), expert.fingerprint(), *astuple(spec)]
        return self.folder / f"{record_digest(key)[:32]}.json"


def _parse_cutoff(cached: Sequence) -> Cutoff:
    """Raises ValueError or TypeError for what is not a cutoff."""
    threshold, end, num_kept = cached
    if end is not None:
        tensor, index = end
        end = str(tensor), int(index)
    return Cutoff(float.fromhex(threshold), end, int(num_kept))
