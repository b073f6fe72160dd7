"""Write draws.csv: which categories' experts each merge takes, for each count and seed.

A draw depends on the count, the seeds and the categories, and is shared by all bases, sizes and
methods, as in the paper. Standard library only, since the Snakefile computes draws as well.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Annotated

from mergescale.provenance.atomic import replacing


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    counts: Annotated[list[int], "numbers of experts to merge"]
    seeds: Annotated[list[int], "seeds; each draws one set of categories per count"]
    categories: Annotated[list[str], "the held-in categories"]
    out: Annotated[Path, "draws.csv"]


def run(args: Arguments) -> None:
    """Write the draws; warn of sets that are drawn more than once."""
    draws = draw_sets(args.counts, args.seeds, args.categories)
    write_draws(args.out, draws)
    if repeats := find_repeats(draws):
        listed = "; ".join(f"n={n} seeds {', '.join(map(str, seeds))}" for n, seeds in repeats)
        print(
            f"mergescale: there are fewer sets of categories than seeds; draws of the same set "
            f"count as one draw: {listed}",
            file=sys.stderr,
        )


def draw_sets(
    counts: Sequence[int], seeds: Sequence[int], categories: Sequence[str]
) -> dict[tuple[int, int], tuple[str, ...]]:
    """Draw sets of the held-in categories, without repetition where there are enough.

    A seed takes the first set of its own random sequence that no seed before it in the list has
    taken, so seeds that are added at the end leave the draws of the others as they are.

    Args:
        counts: numbers of categories in a set.
        seeds: seeds; each draws one set per count.
        categories: the held-in categories.

    Returns:
        {(count, seed): the drawn categories, in the order of `categories`}.

    Raises:
        ValueError: a count is more than there are categories.
    """
    draws: dict[tuple[int, int], tuple[str, ...]] = {}
    for count in counts:
        if not 0 < count <= len(categories):
            raise ValueError(f"a draw cannot take {count} of {len(categories)} categories")
        taken: set[frozenset[str]] = set()
        for seed in dict.fromkeys(seeds):
            if len(taken) == comb(len(categories), count):
                taken.clear()
            rng = random.Random(f"draw/{count}/{seed}")
            while (drawn := frozenset(rng.sample(sorted(categories), count))) in taken:
                pass
            taken.add(drawn)
            draws[count, seed] = tuple(name for name in categories if name in drawn)
    return draws


def find_repeats(
    draws: Mapping[tuple[int, int], tuple[str, ...]],
) -> list[tuple[int, list[int]]]:
    """The (count, seeds) that draw the same set, as all do where a draw takes every category."""
    by_set: dict[tuple[int, frozenset[str]], list[int]] = {}
    for (count, seed), drawn in draws.items():
        by_set.setdefault((count, frozenset(drawn)), []).append(seed)
    return [(count, seeds) for (count, _), seeds in by_set.items() if len(seeds) > 1]


def write_draws(path: Path, draws: Mapping[tuple[int, int], tuple[str, ...]]) -> None:
    """Write draws.csv: count, seed, categories (joined by semicolons)."""
    with replacing(path) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["count", "seed", "categories"])
        for (count, seed), drawn in draws.items():
            writer.writerow([count, seed, ";".join(drawn)])
