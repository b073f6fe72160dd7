"""Write draws.csv: which categories' experts each merge takes, for each count and seed.

A draw is a function of (count, seed, categories) and is shared by all bases, sizes and methods, as
in the paper. Standard library only, since the Snakefile computes draws as well.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
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
    write_draws(args.out, args.counts, args.seeds, args.categories)
    if repeats := find_repeats(args.counts, args.seeds, args.categories):
        listed = "; ".join(f"n={n} seeds {', '.join(map(str, seeds))}" for n, seeds in repeats)
        print(
            f"mergescale: warning: these seeds draw the same categories, so their scores are not "
            f"independent repetitions: {listed}",
            file=sys.stderr,
        )


def draw(count: int, seed: int, categories: Sequence[str]) -> tuple[str, ...]:
    """Draw `count` of the held-in categories, in the order of the configuration.

    Raises:
        ValueError: there are fewer categories.
    """
    if not 0 < count <= len(categories):
        raise ValueError(f"a draw cannot take {count} of {len(categories)} categories")
    drawn = set(random.Random(f"draw/{count}/{seed}").sample(sorted(categories), count))
    return tuple(category for category in categories if category in drawn)


def find_repeats(
    counts: Sequence[int], seeds: Sequence[int], categories: Sequence[str]
) -> list[tuple[int, list[int]]]:
    """The (count, seeds) that draw the same set; unavoidable where a draw takes every category.

    A repeated set is not drawn again with another seed: that would change which experts are merged
    when a seed is added to a study.
    """
    repeats = []
    for count in counts:
        by_set: dict[tuple[str, ...], list[int]] = {}
        for seed in seeds:
            by_set.setdefault(draw(count, seed, categories), []).append(seed)
        repeats += [(count, group) for group in by_set.values() if len(group) > 1]
    return repeats


def write_draws(
    path: Path, counts: Sequence[int], seeds: Sequence[int], categories: Sequence[str]
) -> None:
    """Write draws.csv: count, seed, categories (joined by semicolons)."""
    with replacing(path) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["count", "seed", "categories"])
        for count in counts:
            for seed in seeds:
                writer.writerow([count, seed, ";".join(draw(count, seed, categories))])
