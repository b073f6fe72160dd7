"""How far to trust the numbers: how draws vary, and which scores cannot be normalized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergescale.analysis import labels
from mergescale.analysis.tables import PerformanceTable
from mergescale.analysis.tidy_tables import HELD_OUT, MULTITASK

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Spread:
    """How the draws of one of Tables 1-4 vary; NaN and "" where no cell has draws that differ.

    Attributes:
        title: the table's title.
        cells: the number of cells whose draws can differ.
        median_range: the median over these cells of highest minus lowest draw.
        largest_range: the largest of these ranges.
        widest: the cell that has it.
        median_std: the median over these cells of the standard deviation over draws.
        between_methods: the median over sizes and counts of best minus worst method's mean.
    """

    title: str
    cells: int
    median_range: float = float("nan")
    largest_range: float = float("nan")
    widest: str = ""
    median_std: float = float("nan")
    between_methods: float = float("nan")


def spread_of_draws(tables: Sequence[PerformanceTable]) -> list[Spread]:
    """The spread of the draws of each table, beside the differences between the methods.

    Cells whose draws cannot differ are left out: counts of which all draws are the same set, and
    the multitask model on held-out tasks, which has no constituents.
    """
    spreads = []
    for table in tables:
        cells = table.rows.dropna(subset=["mean"])
        cells = cells[cells["draws"] > 1]
        if cells.empty:
            spreads.append(Spread(table.title, 0))
            continue
        ranges = cells["spread_high"] - cells["spread_low"]
        widest = cells.loc[ranges.idxmax()]
        merged = cells[cells["method"] != MULTITASK].groupby(["size", "count"])["mean"]
        spreads.append(
            Spread(
                title=table.title,
                cells=len(cells),
                median_range=ranges.median(),
                largest_range=ranges.max(),
                widest=f"{labels.method_label(widest['method'])}, {widest['size']}, "
                f"n = {widest['count']}",
                median_std=cells["std"].median(),
                between_methods=(merged.max() - merged.min()).median(),
            )
        )
    return spreads


def varied_counts(normalized: pd.DataFrame) -> list[int]:
    """The numbers of constituents for which at least two draws are different sets."""
    held_in = normalized[normalized["role"] != HELD_OUT]
    sets = held_in.groupby(["count", "seed"])["category"].agg(frozenset)
    distinct = sets.groupby("count").nunique()
    return [int(count) for count, number in distinct.items() if number > 1]


def without_reference(normalized: pd.DataFrame) -> pd.DataFrame:
    """The scores that were left out of all means because their reference scored 0.

    Returns:
        The columns size, base, role, task and scores (how many were left out).
    """
    missing = normalized[normalized["normalized"].isna()]
    groups = missing.groupby(["size", "base", "role", "task"], sort=False).size()
    return groups.rename("scores").reset_index()
