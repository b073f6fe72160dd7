"""Figure 1a: held-in performance around a circle, merging the smallest number of experts.

A spoke per method (and the multitask model) and size, grouped by size; one closed line per kind
of base model; the bold circle at radius 1 is the experts' score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.projections.polar import PolarAxes
from matplotlib.textpath import TextPath

from mergescale.analysis.labels import base_label, method_label
from mergescale.analysis.tidy_tables import HELD_IN, MULTITASK
from mergescale.figures.data import Performance
from mergescale.figures.style import Mark, Style

SIZE = (6.0, 6.4)
CAPTION = """
Held-in performance of every merging method and of the multitask model at every size, merging the
smallest number of experts{% if performance.counts %} ({{ performance.counts[0] }}){% endif %}. One
closed line per kind of base model (PT: pre-trained, IT: instruction-tuned); the bold circle at
radius 1 is the score of the matching experts.
{% if error_bars %}Shaded: from the lowest to the highest draw of constituents.{% endif %}
"""
# The order of the paper's spokes; methods that are added to a study stand before Multitask.
SPOKES = ["averaging", "task_arithmetic", "dare_ties", "ties"]


def draw(figure: Figure, performance: Performance, style: Style) -> None:
    """Draw the figure."""
    draw_radar(figure, performance, style, (performance.counts or [0])[0])


def draw_radar(figure: Figure, performance: Performance, style: Style, count: int) -> None:
    """Draw held-in performance around a circle for merges of `count` experts."""
    rows = performance.rows
    rows = rows[(rows["role"] == HELD_IN) & (rows["count"] == count)]
    methods = [m for m in SPOKES if m in performance.methods]
    methods += [m for m in performance.methods if m not in SPOKES]
    if (rows["method"] == MULTITASK).any():
        methods.append(MULTITASK)
    spokes = [(size, method) for size in performance.sizes for method in methods]
    figure.set_layout_engine("none")
    axes, arc = _circle_axes(figure, style, methods)
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    angles = _angles(len(performance.sizes), len(methods))
    values = {
        (r.base, r.size, r.method): (r.mean, r.spread_low, r.spread_high) for r in rows.itertuples()
    }
    drawn = []
    for base in performance.bases:
        lines = np.array([values.get((base, *spoke), (np.nan,) * 3) for spoke in spokes])
        lines = lines.reshape(-1, 3)
        if len(spokes) and not np.isnan(lines[:, 0]).all():
            _plot_closed(axes, angles, lines, style.base(base), base_label(base))
            drawn.append(base)
    highest = max([1.0, *(high for _, _, high in values.values())])
    limit = 0.25 * math.ceil((highest + 0.02) / 0.25)
    _draw_rings(axes, style, limit)
    axes.set_xticks(angles, [""] * len(angles))
    _label_spokes(axes, style, angles, performance.sizes, methods, limit, arc)
    if not drawn:
        axes.text(0.5, 0.5, "no results", transform=axes.transAxes, ha="center", va="center")
    _, height = _size_in_points(figure)
    figure.suptitle(f"Held-in performance, merging {count} experts", y=1 - 6 / height)
    band = any(low < high for _, low, high in values.values())
    _draw_legend(figure, style, drawn, band=band)


def _size_in_points(figure: Figure) -> np.ndarray:
    """Width and height of a figure in points."""
    return 72 * figure.get_size_inches()


def _circle_axes(figure: Figure, style: Style, methods: Sequence[str]) -> tuple[PolarAxes, float]:
    """Polar axes as large as the labels around them allow, and the radius of the sizes' arcs.

    The labels have a fixed length in points, so the room for the circle is what is left. The
    second value is the arcs' radius over that of the axes.
    """
    small, big = style.settings.small_font_size, style.settings.font_size
    font = FontProperties(family=style.settings.font, size=small)
    longest = max(
        (TextPath((0, 0), method_label(m), prop=font).get_extents().width for m in methods),
        default=0,
    )
    width, height = _size_in_points(figure)
    top, bottom = 26, 26  # the strips of the title and of the legend
    outer = min(width, height - top - bottom) / 2
    beyond = longest + 14  # from the circle to the arcs
    radius = outer - beyond - 2 * big
    box = (
        (width / 2 - radius) / width,
        (bottom + outer - radius) / height,
        2 * radius / width,
        2 * radius / height,
    )
    return figure.add_axes(box, projection="polar"), 1 + beyond / radius


def _angles(groups: int, members: int) -> np.ndarray:
    """Spokes clockwise, with more room between groups; the top lies between two groups."""
    gap = 0.6 if groups > 1 else 0
    step = 2 * math.pi / max(groups * (members + gap), 1)
    starts = np.arange(groups) * (members + gap) + (1 + gap) / 2
    return (starts[:, None] + np.arange(members)).flatten() * step


def _plot_closed(
    axes: PolarAxes, angles: np.ndarray, lines: np.ndarray, mark: Mark, label: str
) -> None:
    """A closed line of the means and a faint band from the lowest to the highest draw."""
    around = np.append(angles, angles[:1] + 2 * math.pi)
    mean, low, high = np.vstack([lines, lines[:1]]).T
    axes.fill_between(around, low, high, color=mark.color, alpha=0.22, linewidth=0, zorder=3)
    axes.plot(around, mean, color=mark.color, label=label, marker="o", markersize=3, zorder=4)


def _draw_rings(axes: PolarAxes, style: Style, limit: float) -> None:
    """Rings of equal performance with their values, and the bold circle at 1."""
    rings = np.arange(0.25, limit + 0.01, 0.25)
    color = style.settings.reference_color
    axes.set_ylim(0, limit)
    axes.set_yticks(rings, [""] * len(rings))
    axes.grid(True, axis="both", color=style.settings.grid_color)
    axes.spines["polar"].set_visible(False)
    around = np.linspace(0, 2 * math.pi, 361)
    axes.plot(around, np.ones_like(around), color=color, linewidth=2.2, zorder=2.5)
    # Every second ring has its value (the legend says what 1 is), at the top between the last and
    # the first group of spokes, and behind the lines.
    for ring in rings[1::2]:
        if ring == 1:
            continue
        axes.text(
            0,
            ring,
            f"{ring:g}",
            ha="center",
            va="center",
            zorder=2.7,
            color=color,
            fontsize=style.settings.small_font_size,
            path_effects=[patheffects.withStroke(linewidth=2.5, foreground="white")],
        )


def _label_spokes(
    axes: PolarAxes,
    style: Style,
    angles: np.ndarray,
    sizes: Sequence[str],
    methods: Sequence[str],
    limit: float,
    arc: float,
) -> None:
    """Method names along their spokes; outside of them an arc and the name of each size."""
    arc *= limit
    for i, angle in enumerate(angles):
        degrees, right = _upright(90 - math.degrees(angle))
        axes.text(
            angle,
            limit * 1.035,
            method_label(methods[i % len(methods)]),
            rotation=degrees,
            rotation_mode="anchor",
            ha="left" if right else "right",
            va="center",
            fontsize=style.settings.small_font_size,
            clip_on=False,
        )
    for g, size in enumerate(sizes):
        own = angles[g * len(methods) : (g + 1) * len(methods)]
        if len(own) == 0:
            continue
        pad = 0.5 * (2 * math.pi / len(angles)) * 0.8
        span = np.linspace(own[0] - pad, own[-1] + pad, 60)
        axes.plot(
            span,
            np.full_like(span, arc),
            color=style.size(size).color,
            linewidth=3,
            clip_on=False,
            solid_capstyle="butt",
        )
        middle = (own[0] + own[-1]) / 2
        degrees, _ = _upright(-math.degrees(middle))
        axes.text(
            middle,
            arc * 1.055,
            size,
            rotation=degrees,
            ha="center",
            va="center",
            rotation_mode="anchor",
            fontsize=style.settings.font_size,
            fontweight="bold",
            clip_on=False,
        )


def _upright(degrees: float) -> tuple[float, bool]:
    """Turn text by half a circle where it would be upside down; True where it was not turned."""
    degrees = (degrees + 180) % 360 - 180
    if -90 <= degrees <= 90:
        return degrees, True
    return degrees - math.copysign(180, degrees), False


def _draw_legend(figure: Figure, style: Style, bases: Sequence[str], *, band: bool) -> None:
    """Below the circle: the kinds of base, the circle at 1, and the band where one is drawn."""
    color = style.settings.reference_color
    entries = [
        Line2D(
            [],
            [],
            color=style.base(base).color,
            marker="o",
            markersize=3,
            label=f"{base_label(base)} base models",
        )
        for base in bases
    ]
    entries.append(Line2D([], [], color=color, linewidth=2.2, label="1 = the experts"))
    if band:
        entries.append(Patch(color=color, alpha=0.25, linewidth=0, label="lowest to highest draw"))
    figure.legend(handles=entries, loc="lower center", ncols=4)
