"""Write draws.csv: which categories' experts each merge takes, for each count and seed.

A draw is a function of (count, seed, categories) and is shared by all bases, sizes and methods, as
in the paper. Standard library only: the Snakefile draws too.
"""

from __future__ import annotations

import csv
import random
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
    """Write the draws."""
    write_draws(args.out, args.counts, args.seeds, args.categories)


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
