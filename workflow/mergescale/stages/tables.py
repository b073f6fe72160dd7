"""Write Tables 1-4 and the table of all tasks, as CSV, Markdown and LaTeX."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from mergescale import timing


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    performance: Annotated[Path, "performance.csv"]
    scores: Annotated[Path, "scores.csv"]
    tasks: Annotated[Path, "tasks.csv"]
    out: Annotated[Path, "the folder to write into"]
    sizes: Annotated[list[str], "model sizes to show, smallest first"] = field(default_factory=list)
    methods: Annotated[list[str], "the order of the merging methods"] = field(default_factory=list)


def run(args: Arguments) -> None:
    """Write the tables.

    Raises:
        ValueError: an input lacks a column.
    """
    from mergescale.analysis import tables, tasks_table, tidy_tables

    timing.started()
    with timing.timed("rendering"):
        performance = tidy_tables.read_table(args.performance, tidy_tables.PERFORMANCE)
        tables.write_tables(performance, args.out, args.sizes, args.methods)
        scores = tidy_tables.read_table(args.scores, tidy_tables.SCORES)
        tasks = tidy_tables.read_table(args.tasks, tidy_tables.TASKS)
        tasks_table.write_tasks_table(scores, tasks, args.out, args.sizes)
