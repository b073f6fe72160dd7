"""Draw figures from performance.csv, each as PDF, SVG and PNG with its caption."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from mergescale import timing
from mergescale.figures.registry import figure_names, write_figures


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    performance: Annotated[Path, "performance.csv"]
    style: Annotated[Path, "config/style.yaml"]
    out: Annotated[Path, "the folder to write figure<name>.* into"]
    figures: Annotated[list[str], "names such as 1a and 3; all figures without it"] = field(
        default_factory=list
    )
    sizes: Annotated[list[str], "model sizes to draw, smallest first"] = field(default_factory=list)
    methods: Annotated[list[str], "the order of the merging methods"] = field(default_factory=list)


def run(args: Arguments) -> None:
    """Draw the figures.

    Raises:
        ValueError: a figure has no such name, or style.yaml or performance.csv has an error.
    """
    timing.started()
    with timing.timed("rendering"):
        write_figures(
            args.figures or figure_names(),
            args.performance,
            args.style,
            args.out,
            sizes=args.sizes,
            methods=args.methods,
        )
