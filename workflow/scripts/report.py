"""Write report.html, the whole study on one self-contained page.

    python workflow/scripts/report.py --study results/default/study.json \
        --performance results/default/performance.csv --scores results/default/scores.csv \
        --normalised results/default/normalised.csv --tasks results/default/tasks.csv \
        --figures results/default/figures --tables results/default/tables \
        --out results/default/report.html
"""

import argparse
from pathlib import Path

from mergescale.report import page


def main() -> None:
    parser = argparse.ArgumentParser(description="Write report.html.")
    parser.add_argument("--study", required=True, type=Path, metavar="JSON")
    for name in ("performance", "scores", "normalised", "tasks"):
        parser.add_argument(f"--{name}", required=True, type=Path, metavar="CSV")
    parser.add_argument("--figures", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--tables", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--timing", type=Path, metavar="CSV", help="stage,seconds,jobs")
    parser.add_argument("--out", required=True, type=Path, metavar="HTML")
    chosen = parser.parse_args()
    page.write(
        study=chosen.study,
        performance=chosen.performance,
        scores=chosen.scores,
        normalised=chosen.normalised,
        tasks=chosen.tasks,
        figure_folder=chosen.figures,
        table_folder=chosen.tables,
        timing_csv=chosen.timing,
        out=chosen.out,
    )


if __name__ == "__main__":
    main()
