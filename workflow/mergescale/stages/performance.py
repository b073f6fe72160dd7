"""Write normalized.csv and performance.csv: scores over their references, and the means.

`mergescale.analysis.performance` has the definitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mergescale import timing


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    scores: Annotated[Path, "scores.csv"]
    draws: Annotated[Path, "draws.csv"]
    normalized: Annotated[Path, "normalized.csv, to write"]
    performance: Annotated[Path, "performance.csv, to write"]


def run(args: Arguments) -> None:
    """Normalize the scores and average them.

    Raises:
        ValueError: a table lacks a column, or a score that belongs to the grid.
    """
    from mergescale.analysis import performance, tidy_tables

    timing.started()
    scores = tidy_tables.read_table(args.scores, tidy_tables.SCORES)
    draws = tidy_tables.read_table(args.draws, tidy_tables.DRAWS)
    normalized = performance.normalize(scores, draws)
    tidy_tables.write_table(normalized, args.normalized, tidy_tables.NORMALIZED)
    # Read again, so that performance.csv follows from normalized.csv and its six decimals.
    normalized = tidy_tables.read_table(args.normalized, tidy_tables.NORMALIZED)
    performance_table = performance.aggregate(normalized)
    tidy_tables.write_table(performance_table, args.performance, tidy_tables.PERFORMANCE)
