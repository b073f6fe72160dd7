"""Thresholds of task vectors, found in a look at all their entries, or in two.

A sample of the blocks tells about where a threshold lies. One look at everything then counts the
entries above that neighbourhood, and those in it one by one; if the wanted rank is among these, the
threshold is found, exactly. If not (and for small models, where a sample tells little), that look
has counted the upper halves of all entries' bits as well, and another one, or more for many
thresholds of one expert, counts the lower halves where they matter. One more finds the place where
entries that tie with the threshold end, if there is room for some of them only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mergescale.merging.histogram import MOST_BINS, Place, UpperHalves
from mergescale.merging.statistics import FIRST, Threshold
from mergescale.merging.streaming.first_entries import Room, first_beyond_room
from mergescale.merging.streaming.look import Look, sampled_share
from mergescale.merging.threshold import Limit, certain, kept_count

if TYPE_CHECKING:
    from mergescale.merging.streaming.stream import Engine


def thresholds(
    engine: Engine,
    wanted: Mapping[str, set[Threshold]],
    names: Sequence[str],
    progress: Callable[[int], None],
) -> dict[tuple[str, Threshold], Limit]:
    """Thresholds of several experts at once, in the tensors called `names` taken together.

    wanted: {expert: thresholds}; their scope is not looked at. progress: told of bytes read.
    """
    look = Look(engine, names, progress)
    ranks = {
        (expert, wish): (
            engine.names.index(expert),
            kept_count(look.elements, wish.density, wish.rounding),
        )
        for expert, wishes in wanted.items()
        for wish in wishes
    }
    known = {(n, rank): certain(look.elements, rank) for n, rank in ranks.values()}
    found = _places(look, {key for key, value in known.items() if value is None})
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


def most_looks(lengths: Sequence[int], wanted: int) -> float:
    """How often `thresholds` reads tensors of these lengths if a sample tells nothing.

    wanted: of how many thresholds of an expert. Without the look for the first of those that tie.
    """
    return 1 + -(-wanted // MOST_BINS) + sampled_share(lengths)


def _places(look: Look, wanted: set[tuple[int, int]]) -> dict[tuple[int, int], Place]:
    """The entries of these (number of an expert, rank)."""
    found: dict[tuple[int, int], Place] = {}
    uppers: dict[int, UpperHalves] = {}
    guesses = _guesses(look, wanted)
    while missing := wanted - found.keys():
        bins: dict[int, set[int]] = {n: set(guesses.get(n, ())) for n, _ in missing}
        for n, rank in missing if uppers else ():
            if len(bins[n]) < MOST_BINS:
                bins[n].add(uppers[n].find(rank))
        counted = look.at_all(bins, upper=not uppers)
        for n, rank in missing:
            place = counted[n][0].place(rank)
            if place:
                found[n, rank] = place
        uppers = uppers or {n: upper for n, (_, upper) in counted.items()}
        guesses = {}
        del counted  # before the next ones are made
    return found


def _guesses(look: Look, wanted: set[tuple[int, int]]) -> dict[int, set[int]]:
    """{number of an expert: bins in which its entries may lie}, as far as a sample tells."""
    found: dict[int, set[int]] = {}
    if not wanted or not look.sample:
        return found
    uppers = look.at_sample(sorted({n for n, _ in wanted}))
    share = sampled_share(look.lengths)
    for n, rank in sorted(wanted):
        bins = found.setdefault(n, set()) | set(uppers[n].near(max(1, round(rank * share))))
        if len(bins) <= MOST_BINS:
            found[n] = bins
    return found
