"""Write report.html: the whole study on one self-contained page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    study: Annotated[Path, "study.json"]
    performance: Annotated[Path, "performance.csv"]
    scores: Annotated[Path, "scores.csv"]
    normalized: Annotated[Path, "normalized.csv"]
    tasks: Annotated[Path, "tasks.csv"]
    figures: Annotated[Path, "the folder of the figures"]
    tables: Annotated[Path, "the folder of the tables"]
    out: Annotated[Path, "report.html"]
    timing_table: Annotated[Path | None, "timing.csv"] = None


def run(args: Arguments) -> None:
    """Write the report.

    Raises:
        ValueError: an input lacks a column.
    """
    from mergescale import timing
    from mergescale.report.page import write_report

    timing.started()
    write_report(
        study=args.study,
        performance=args.performance,
        scores=args.scores,
        normalized=args.normalized,
        tasks=args.tasks,
        figures=args.figures,
        tables_folder=args.tables,
        timing_table=args.timing_table,
        out=args.out,
    )
