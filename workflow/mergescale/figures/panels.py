"""What the panels of the line figures share: marks with error bars, axes, the line at 1, legend."""

import math

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mergescale.analysis.tidy_tables import HELD_IN

OUTLINE = 1.0  # points by which the outline of a pale line is wider than the line
Y_LABELS = {
    "held_in": "score / expert's score",
    "held_out": "score / base model's score",
}


def grid(figure, names: list, columns: int, **shared):
    """Axes for the panels `names` (at least one), `columns` a row; returns a list in order."""
    columns = max(1, min(columns, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    axes = figure.subplots(rows, columns, squeeze=False, **shared).flatten().tolist()
    for spare in axes[max(1, len(names)) :]:
        spare.remove()
    return axes[: max(1, len(names))]


def marks(axes, xs, rows, mark, style, *, label="", line=True, zorder=3):
    """Draw the means of `rows` at `xs` with thin bars from spread_low to spread_high.

    `rows` is a DataFrame with the columns of performance.csv, `xs` one position per row. A mark
    with an edge (a pale colour) is outlined.
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
        ecolor=mark.edge or mark.colour,
        elinewidth=style.settings["error_line_width"],
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
            linewidth=style.settings["line_width"] + OUTLINE,
        )
    (drawn,) = axes.plot(
        xs,
        mean,
        linestyle="-" if line else "none",
        label=label,
        zorder=zorder,
        **look(mark, style),
    )
    return drawn


def look(mark, style) -> dict:
    """Line properties of a mark; a star needs more room than a disc to look as large."""
    size = style.settings["marker_size"] * (1.6 if mark.marker == "*" else 1)
    return {
        "color": mark.colour,
        "marker": mark.marker,
        "markersize": size,
        "markeredgecolor": mark.edge or "white",
        "markeredgewidth": 0.6 if mark.edge else 0.4,
    }


def key(mark, label: str, style, *, line=True):
    """A legend entry for a mark: what is drawn, and its label."""
    drawn = Line2D([], [], linestyle="-" if line else "none", **look(mark, style))
    if mark.edge and line:
        width = style.settings["line_width"] + OUTLINE
        return (Line2D([], [], color=mark.edge, linewidth=width), drawn), label
    return drawn, label


def reference(axes, style, role: str, *, labelled=True):
    """The dashed line at 1; its label, right of the axes, says what it stands for."""
    colour = style.settings["reference_colour"]
    axes.axhline(1, color=colour, linestyle=(0, (4, 3)), linewidth=0.9, zorder=2)
    if labelled:
        text = "experts" if role == HELD_IN else "base"
        axes.text(
            1.02,
            1,
            text,
            transform=axes.get_yaxis_transform(),
            va="center",
            ha="left",
            fontsize=style.settings["small_font_size"],
            color=colour,
        )


def say_if_empty(axes, style, drawn) -> None:
    """Say so in a panel in which nothing was drawn."""
    if not any(one is not None for one in drawn):
        axes.text(
            0.5,
            0.3,
            "no results",
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=style.settings["font_size"],
            color=style.settings["reference_colour"],
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 3},
            zorder=5,
        )


def count_axis(axes, counts: list, label="number of experts merged") -> None:
    """An x-axis of numbers of constituents, with a tick at each one that was merged."""
    margin = 0.4 * step(counts)
    axes.set_xticks(counts, [str(count) for count in counts])
    if counts:
        axes.set_xlim(counts[0] - margin, counts[-1] + margin)
    if label:
        axes.set_xlabel(label)


def name_axis(axes, names: list, label="", *, room=12) -> None:
    """An x-axis with a tick per name; names that do not fit into `room` characters are slanted."""
    if sum(len(name) + 1 for name in names) > room:
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    if label:
        axes.set_xlabel(label)


def finish(axes_list) -> None:
    """Round y ticks and room above and below the data, the line at 1 included."""
    for axes in axes_list:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
        axes.margins(y=0.08)


def legend(figure, entries: list, *, columns=6) -> None:
    """A legend of entries made by `key`, below all panels, so that it never covers data."""
    if entries:
        figure.legend(
            [drawn for drawn, _ in entries],
            [label for _, label in entries],
            loc="outside lower center",
            ncols=min(columns, len(entries)),
            handlelength=2.2,
            columnspacing=1.4,
        )


def step(counts: list) -> float:
    """The least distance between two numbers of constituents."""
    return min((b - a for a, b in zip(counts, counts[1:], strict=False)), default=1)


def dodge(position: int, total: int, width: float) -> float:
    """Sideways offset of series `position` of `total`, all within `width`."""
    return 0.0 if total < 2 else width * (position / (total - 1) - 0.5)
