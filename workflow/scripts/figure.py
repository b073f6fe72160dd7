"""Draw figures from performance.csv: one, or all in one process.

    python workflow/scripts/figure.py --figure 3 --performance results/default/performance.csv \
        --style config/style.yaml --out results/default/figures/figure3
    python workflow/scripts/figure.py --figure all --performance ... --style ... --outdir FOLDER

Each figure is written as .pdf, .svg and .png.
"""

import argparse
from pathlib import Path

from mergescale import timing
from mergescale.figures.registry import FIGURES, write


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw figures from performance.csv.")
    parser.add_argument("--figure", required=True, choices=[*FIGURES, "all"])
    parser.add_argument("--performance", required=True, type=Path, metavar="CSV")
    parser.add_argument("--style", required=True, type=Path, metavar="YAML")
    parser.add_argument("--sizes", type=_names, help="model sizes, smallest first: a,b,c")
    parser.add_argument("--methods", type=_names, help="merging methods in order: m1,m2")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", metavar="STEM", help="path of one figure without its suffix")
    target.add_argument("--outdir", type=Path, metavar="FOLDER", help="writes figure<name>.*")
    parser.add_argument("--timing", type=Path, metavar="JSON", help="write how long it took")
    chosen = parser.parse_args()
    timing.started()
    if chosen.figure == "all" and not chosen.outdir:
        parser.error("--figure all needs --outdir")
    names = list(FIGURES) if chosen.figure == "all" else [chosen.figure]

    def stem(name):
        return chosen.out or chosen.outdir / f"figure{name}"

    with timing.timed("rendering"):
        write(names, chosen.performance, chosen.style, stem, chosen.sizes, chosen.methods)
    if chosen.timing:
        timing.write(chosen.timing)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    main()
