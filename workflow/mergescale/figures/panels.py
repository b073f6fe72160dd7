"""What the panels of the line figures share: means with error bars, axes, the line at 1, legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mergescale.analysis.tidy_tables import HELD_IN
from mergescale.figures.style import Mark, Style

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

OUTLINE = 1.0  # points by which the outline of a pale line is wider than the line
Y_LABELS = {
    "held_in": "score / expert's score",
    "held_out": "score / base model's score",
}


def panel_grid(figure: Figure, panels: Sequence[Any], columns: int, **shared: Any) -> list[Axes]:
    """Axes for the panels (at least one), `columns` to a row, in order; `shared` as in subplots."""
    number = max(1, len(panels))
    columns = max(1, min(columns, number))
    axes = figure.subplots(math.ceil(number / columns), columns, squeeze=False, **shared)
    axes = axes.flatten().tolist()
    for spare in axes[number:]:
        spare.remove()
    return axes[:number]


def plot_means(
    axes: Axes,
    xs: Sequence[float] | np.ndarray,
    rows: pd.DataFrame,
    mark: Mark,
    style: Style,
    *,
    label: str = "",
    line: bool = True,
    zorder: float = 3,
) -> Line2D | None:
    """Draw the means of `rows` at `xs`, with thin bars from the lowest to the highest draw.

    Args:
        axes: the panel.
        xs: one position per row.
        rows: rows with the columns PERFORMANCE.
        mark: color and marker; one with an edge (a pale color) is outlined.
        style: the shared style.
        label: the series' name.
        line: whether the means are connected.
        zorder: matplotlib's drawing order.

    Returns:
        The line of the means; None where there are no rows.
    """
    if len(rows) == 0:
        return None
    mean = rows["mean"].to_numpy()
    below = (mean - rows["spread_low"].to_numpy()).clip(min=0)
    above = (rows["spread_high"].to_numpy() - mean).clip(min=0)
    axes.errorbar(
        xs,
        mean,
        yerr=[below, above],
        fmt="none",
        ecolor=mark.edge or mark.color,
        elinewidth=style.settings.error_line_width,
        capsize=0,
        zorder=zorder - 0.5,
    )
    if line and mark.edge:
        # The outline is a line of its own below: an outlined marker on top of it stays crisp.
        axes.plot(
            xs,
            mean,
            color=mark.edge,
            zorder=zorder - 0.2,
            linewidth=style.settings.line_width + OUTLINE,
        )
    (means,) = axes.plot(
        xs,
        mean,
        linestyle="-" if line else "none",
        label=label,
        zorder=zorder,
        **line_properties(mark, style),
    )
    return means


def line_properties(mark: Mark, style: Style) -> dict[str, Any]:
    """Line properties of a mark; a star needs more room than a disc to look as large."""
    size = style.settings.marker_size * (1.6 if mark.marker == "*" else 1)
    return {
        "color": mark.color,
        "marker": mark.marker,
        "markersize": size,
        "markeredgecolor": mark.edge or "white",
        "markeredgewidth": 0.6 if mark.edge else 0.4,
    }


def reference_line(axes: Axes, style: Style, role: str, *, labeled: bool = True) -> None:
    """The dashed line at 1; its label, right of the axes, says what it stands for."""
    color = style.settings.reference_color
    axes.axhline(1, color=color, linestyle=(0, (4, 3)), linewidth=0.9, zorder=2)
    if labeled:
        axes.text(
            1.02,
            1,
            "experts" if role == HELD_IN else "base",
            transform=axes.get_yaxis_transform(),
            va="center",
            ha="left",
            fontsize=style.settings.small_font_size,
            color=color,
        )


def note_if_empty(axes: Axes, style: Style, drawn: Sequence[Line2D | None]) -> None:
    """Write "no results" into a panel in which nothing was drawn."""
    if not any(line is not None for line in drawn):
        axes.text(
            0.5,
            0.3,
            "no results",
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=style.settings.font_size,
            color=style.settings.reference_color,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 3},
            zorder=5,
        )


def count_axis(axes: Axes, counts: Sequence[int], label: str = "number of experts merged") -> None:
    """An x-axis of numbers of experts, with a tick at each count of the study."""
    margin = 0.4 * min_step(counts)
    axes.set_xticks(counts, [str(count) for count in counts])
    if counts:
        axes.set_xlim(counts[0] - margin, counts[-1] + margin)
    if label:
        axes.set_xlabel(label)


def name_axis(axes: Axes, names: Sequence[str], label: str = "", *, room: int = 12) -> None:
    """An x-axis with a tick per name; names that do not fit into `room` characters are slanted."""
    if sum(len(name) + 1 for name in names) > room:
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    if label:
        axes.set_xlabel(label)


def round_y_ticks(all_axes: Sequence[Axes]) -> None:
    """Round y ticks, and room above and below the data, the line at 1 included."""
    for axes in all_axes:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
        axes.margins(y=0.08)


def legend_entry(
    mark: Mark, label: str, style: Style, *, line: bool = True
) -> tuple[Line2D | tuple[Line2D, Line2D], str]:
    """A legend entry for a mark: what is drawn, and its label."""
    drawn = Line2D([], [], linestyle="-" if line else "none", **line_properties(mark, style))
    if mark.edge and line:
        width = style.settings.line_width + OUTLINE
        return (Line2D([], [], color=mark.edge, linewidth=width), drawn), label
    return drawn, label


def figure_legend(figure: Figure, entries: Sequence[tuple[Any, str]], *, columns: int = 6) -> None:
    """A legend of `legend_entry` pairs below all panels, so that it never covers data.

    Entries that need more than one row of `columns` are spread evenly over the rows.
    """
    if entries:
        rows = math.ceil(len(entries) / columns)
        figure.legend(
            [drawn for drawn, _ in entries],
            [label for _, label in entries],
            loc="outside lower center",
            ncols=math.ceil(len(entries) / rows),
            handlelength=2.2,
            columnspacing=1.4,
        )


def min_step(counts: Sequence[int]) -> float:
    """The smallest distance between two counts; 1 for a single one."""
    return min((b - a for a, b in zip(counts, counts[1:], strict=False)), default=1)


def dodge(position: int, total: int, width: float) -> float:
    """Sideways offset of series `position` of `total`, all within `width`."""
    return 0.0 if total < 2 else width * (position / (total - 1) - 0.5)
