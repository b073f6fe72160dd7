"""Thresholds of task vectors, found in a look at all their entries, or in two.

A sample of the blocks tells about where a threshold lies. One look at everything then counts the
entries above that neighbourhood, and those in it one by one; if the wanted rank is among these, the
threshold is found, exactly. If not, that look has told how far the sample was off, and the next one
counts what it tells now, and the upper halves of all entries' bits as well: these make a further
look certain. So do two looks from the start for small models, of which a sample tells little. One
more finds the place where entries that tie with the threshold end, if there is room for some only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mergescale.merging.engine.passes import HistogramPass, sampled_share
from mergescale.merging.engine.tie_pass import TieBudget, locate_tie_cutoff
from mergescale.merging.ops.quantile import MAX_BINS, CoarseHistogram, FineHistogram, RankPosition
from mergescale.merging.ops.trim import Cutoff, count_to_keep, trivial_threshold
from mergescale.merging.statistics import FIRST, MagnitudeThreshold

if TYPE_CHECKING:
    from mergescale.merging.engine.engine import Engine


def thresholds(
    engine: Engine,
    wanted: Mapping[str, set[MagnitudeThreshold]],
    names: Sequence[str],
    progress: Callable[[int], None],
) -> dict[tuple[str, MagnitudeThreshold], Cutoff]:
    """Thresholds of several experts at once, in the tensors called `names` taken together.

    wanted: {expert: thresholds}; their scope is not looked at. progress: told of bytes read.
    """
    look = HistogramPass(engine, names, progress)
    ranks = {
        (expert, wish): (
            engine.names.index(expert),
            count_to_keep(look.elements, wish.density, wish.rounding),
        )
        for expert, wishes in wanted.items()
        for wish in wishes
    }
    known = {(n, rank): trivial_threshold(look.elements, rank) for n, rank in ranks.values()}
    found = _places(look, {key for key, value in known.items() if value is None})
    of_first = {ranks[key] for key in ranks if key[1].ties == FIRST}
    rooms = {
        (n, rank): TieBudget(place.value, rank - place.larger)
        for (n, rank), place in found.items()
        # Zeros are the same whether they are kept or not.
        if (n, rank) in of_first and place.value and rank < place.larger + place.equal
    }
    ends = locate_tie_cutoff(engine, rooms, names, progress) if rooms else {}
    limits = {}
    for (expert, wish), (n, rank) in ranks.items():
        if (n, rank) in found:
            end = ends.get((n, rank)) if wish.ties == FIRST else None
            limits[expert, wish] = found[n, rank].limit(rank, end)
        else:
            limits[expert, wish] = Cutoff(known[n, rank], num_kept=rank)
    return limits


def max_passes(lengths: Sequence[int], wanted: int) -> float:
    """How often `thresholds` reads tensors of these lengths, unless a sample misleads much.

    wanted: of how many thresholds of an expert. Without the look for the first of those that tie.
    """
    return 1 + -(-wanted // MAX_BINS) + sampled_share(lengths)


def _places(
    look: HistogramPass, wanted: set[tuple[int, int]]
) -> dict[tuple[int, int], RankPosition]:
    """The entries of these (number of an expert, rank)."""
    found: dict[tuple[int, int], RankPosition] = {}
    uppers: dict[int, CoarseHistogram] = {}
    guesses = _guesses(look, sorted({n for n, _ in wanted}))
    first = True
    while missing := wanted - found.keys():
        ranks: dict[int, list[int]] = {}
        for n, rank in sorted(missing):
            ranks.setdefault(n, []).append(rank)
        bins: dict[int, set[int]] = {}
        unsure = set()
        for n, own in ranks.items():
            if n in uppers:
                bins[n] = set(islice({uppers[n].find(rank): None for rank in own}, MAX_BINS))
            else:
                bins[n], complete = guesses[n].bins_of(own)
                if not first or not complete:
                    unsure.add(n)  # this look counts all its bins too, for one that is certain
        counted, more = look.scan(bins, unsure)
        for n, rank in missing:
            place = counted[n].place(rank)
            if place:
                found[n, rank] = place
            else:
                guesses[n].correct(counted[n])
        uppers |= more
        first = False
        del counted  # before the next ones are made
    return found


@dataclass
class _Guess:
    """Where an expert's entries may lie, as far as a sample tells: without one, it does not.

    Attributes:
        upper: the sample's histogram.
        share: of the expert's entries that are in it; corrected by what a look has shown.
    """

    upper: CoarseHistogram | None = None
    share: float = 0.0

    def bins_of(self, ranks: Sequence[int]) -> tuple[set[int], bool]:
        """Bins in which entries of these ranks may lie, at most `MAX_BINS`; whether for all."""
        found: set[int] = set()
        complete = self.upper is not None
        for rank in ranks if self.upper else ():
            bins = found | set(self.upper.near(max(1, round(rank * self.share))))
            if len(bins) <= MAX_BINS:
                found = bins
            else:
                complete = False
        return found, complete

    def correct(self, counted: FineHistogram) -> None:
        """Learn from a look at all entries which share of the large ones is in the sample."""
        if self.upper is not None and counted.bins and counted.above[0]:
            sampled = int(self.upper.counts[counted.bins[0] + 1 :].sum())
            self.share = sampled / int(counted.above[0])


def _guesses(look: HistogramPass, experts: Sequence[int]) -> dict[int, _Guess]:
    """{number of an expert: what a sample tells of it}."""
    if not experts or not look.sample:
        return {n: _Guess() for n in experts}
    share = sampled_share(look.lengths)
    return {n: _Guess(upper, share) for n, upper in look.scan_sample(experts).items()}
