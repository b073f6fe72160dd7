"""What a figure is drawn from: performance.csv and the order of its sizes, methods and bases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mergescale.analysis.tidy_tables import (
    BASES,
    MULTITASK,
    PERFORMANCE,
    read_table,
    sort_rows,
    unique_values,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Performance:
    """The rows of performance.csv that have a mean; every list is in drawing order."""

    rows: pd.DataFrame
    sizes: list[str]
    methods: list[str]  # without multitask
    bases: list[str]
    counts: list[int]

    def series(self, along: str, order: Sequence[object], **where: object) -> pd.DataFrame:
        """The rows that match `where` (column=value), in the order of `along` over `order`."""
        rows = self.rows
        for column, value in where.items():
            rows = rows[rows[column] == value]
        rows = rows[rows[along].isin(order)]
        return sort_rows(rows, [along], {along: order})

    @property
    def shown_sizes(self) -> list[str]:
        """The smallest, the second largest and the largest size: the panels of Figures 2 and 5.

        The paper shows 1B, 24B and 64B of 1B, 8B, 24B and 64B. All sizes where there are at most
        three.
        """
        return self.sizes if len(self.sizes) <= 3 else [self.sizes[0], *self.sizes[-2:]]

    @property
    def omitted_sizes(self) -> list[str]:
        """The sizes that Figures 2 and 5 leave out."""
        return [size for size in self.sizes if size not in self.shown_sizes]

    @property
    def draws_differ(self) -> bool:
        """Whether any cell has a lowest draw below its highest one."""
        return bool((self.rows["spread_low"] < self.rows["spread_high"]).any())


def load_performance(
    path: Path, sizes: Sequence[str] | None = None, methods: Sequence[str] | None = None
) -> Performance:
    """Read performance.csv.

    Args:
        path: the file.
        sizes: the sizes to draw, smallest first; by default all, in order of appearance.
        methods: the order of the methods; those of the file beyond the list come after it.
    """
    rows = read_table(path, PERFORMANCE).dropna(subset=["mean"])
    sizes = list(sizes or unique_values(rows["size"]))
    found = unique_values(rows["method"], first=list(methods or ()))
    counts = sorted(int(count) for count in rows["count"].dropna().unique())
    bases = unique_values(rows["base"], first=BASES)
    return Performance(rows, sizes, [m for m in found if m != MULTITASK], bases, counts)
