"""Draws: which categories are the constituents of a merge, one draw for each count and seed.

A draw is a function of (count, seed, categories) and is shared by all bases, sizes and methods, as
in the paper. Standard library only: the Snakefile draws too.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

from mergescale.provenance.atomic import replacing


def draw(count: int, seed: int, categories: Sequence[str]) -> tuple[str, ...]:
    """`count` of the held-in categories, in the order in which they stand in the configuration.

    Raises:
        ValueError: there are not so many.
    """
    if not 0 < count <= len(categories):
        raise ValueError(f"a draw cannot take {count} of {len(categories)} categories")
    chosen = set(random.Random(f"draw/{count}/{seed}").sample(sorted(categories), count))
    return tuple(category for category in categories if category in chosen)


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
