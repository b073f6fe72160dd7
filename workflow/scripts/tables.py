"""Write Tables 1-4 and the table of all tasks as CSV, Markdown and LaTeX.

    python workflow/scripts/tables.py --performance results/default/performance.csv \
        --scores results/default/scores.csv --tasks results/default/tasks.csv \
        --outdir results/default/tables
"""

import argparse
from pathlib import Path

from mergescale import timing
from mergescale.analysis import tables, tasks_table


def main() -> None:
    parser = argparse.ArgumentParser(description="Write Tables 1-4 and the table of all tasks.")
    parser.add_argument("--performance", required=True, type=Path, metavar="CSV")
    parser.add_argument("--scores", required=True, type=Path, metavar="CSV")
    parser.add_argument("--tasks", required=True, type=Path, metavar="CSV")
    parser.add_argument("--sizes", type=_names, help="model sizes, smallest first: a,b,c")
    parser.add_argument("--methods", type=_names, help="merging methods in order: m1,m2")
    parser.add_argument("--outdir", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--timing", type=Path, metavar="JSON", help="write how long it took")
    chosen = parser.parse_args()
    timing.started()
    with timing.timed("rendering"):
        tables.write(chosen.performance, chosen.outdir, chosen.sizes, chosen.methods)
        tasks_table.write(chosen.scores, chosen.tasks, chosen.outdir, chosen.sizes)
    if chosen.timing:
        timing.write(chosen.timing)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    main()
