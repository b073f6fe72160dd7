"""Finds the figures: every file `figure_<name>.py` of this folder is one.

Such a file defines three names:

    SIZE = (6.8, 2.7)                       width and height in inches
    CAPTION = "Performance of ..."          a Jinja2 template with `performance` and `error_bars`
    def draw(figure, performance, style)    draws a `Performance` into an empty matplotlib Figure

Importing this module imports no matplotlib: the workflow lists the figures when it is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mergescale.plugins import PluginError, load_plugin
from mergescale.provenance.atomic import write_text

if TYPE_CHECKING:
    from mergescale.figures.data import Performance

_FOLDER = Path(__file__).parent
_CONTRACT = ("SIZE", "CAPTION", "draw")


def figure_names() -> list[str]:
    """The names of all figures in reading order: "1a", "1b", "2", ..., "10"."""
    names = [path.stem.removeprefix("figure_") for path in _FOLDER.glob("figure_*.py")]
    return sorted(
        names,
        key=lambda name: [
            (0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in re.findall(r"\d+|\D+", name)
        ],
    )


def load_figure(name: str) -> ModuleType:
    """The module of a figure.

    Raises:
        ValueError: no figure has this name.
        PluginError: its file cannot be imported or does not define all of SIZE, CAPTION, draw.
    """
    if name not in figure_names():
        raise ValueError(f"{name} is not a figure; the figures are {', '.join(figure_names())}")
    module = load_plugin("mergescale.figures", f"figure_{name}")
    for attribute in _CONTRACT:
        if not hasattr(module, attribute):
            raise PluginError(
                f"workflow/mergescale/figures/figure_{name}.py must define {attribute}"
            )
    return module


def render_caption(name: str, performance: Performance) -> str:
    """The caption of a figure of this study, as one line of text."""
    from jinja2 import Environment, StrictUndefined

    template = Environment(undefined=StrictUndefined).from_string(load_figure(name).CAPTION)
    error_bars = "Error bars: from the lowest to the highest draw of constituents."
    text = template.render(
        performance=performance, error_bars=error_bars if performance.draws_differ else ""
    )
    return " ".join(text.split())


def write_figures(
    names: Sequence[str],
    performance_csv: Path,
    style_yaml: Path,
    folder: Path,
    *,
    sizes: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
) -> None:
    """Draw figures into `folder`: figure<name>.pdf, .svg and .png, and the caption as .rst.

    Args:
        names: which figures.
        performance_csv: the study's performance.csv; it is read once for all figures.
        style_yaml: config/style.yaml.
        folder: where the files go.
        sizes: the sizes to draw, smallest first; by default all, in order of appearance.
        methods: the order of the methods; others in the file follow.

    Raises:
        ValueError: no figure has one of the names, or an input has an error.
    """
    from mergescale.figures.data import load_performance
    from mergescale.figures.style import load_style, new_figure, save_figure

    performance = load_performance(performance_csv, sizes, methods)
    style = load_style(style_yaml, performance)
    with style.active():
        for name in names:
            module = load_figure(name)
            figure = new_figure(style.figure_size(name, module.SIZE))
            module.draw(figure, performance, style)
            save_figure(figure, folder / f"figure{name}")
            write_text(folder / f"figure{name}.rst", render_caption(name, performance) + "\n")
