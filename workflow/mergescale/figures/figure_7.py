"""Figure 7: all merging methods on the largest IT models, against the number of experts."""

from __future__ import annotations

from matplotlib.figure import Figure

from mergescale.analysis.labels import method_label, role_label
from mergescale.analysis.tidy_tables import ROLES
from mergescale.figures import panels
from mergescale.figures.data import Performance
from mergescale.figures.style import Style

SIZE = (6.2, 3.0)
CAPTION = """
All merging methods on the largest instruction-tuned models against the number of experts merged:
held-in (1: the matching experts) and held-out (1: the base model). {{ error_bars }}
"""


def draw(figure: Figure, performance: Performance, style: Style) -> None:
    """Draw the figure: panels held-in and held-out, one line per method."""
    size = performance.sizes[-1] if performance.sizes else ""
    methods = performance.methods
    all_axes = panels.panel_grid(figure, ROLES, 2)
    for axes, role in zip(all_axes, ROLES, strict=True):
        drawn = []
        for i, method in enumerate(methods):
            rows = performance.series(
                "count", performance.counts, base="it", role=role, size=size, method=method
            )
            offset = panels.dodge(i, len(methods), 0.2 * panels.min_step(performance.counts))
            xs = rows["count"].to_numpy(dtype=float) + offset
            mark, label = style.method(method), method_label(method)
            drawn.append(panels.plot_means(axes, xs, rows, mark, style, label=label))
        panels.reference_line(axes, style, role)
        panels.note_if_empty(axes, style, drawn)
        panels.count_axis(axes, performance.counts)
        axes.set_title(role_label(role))
        axes.set_ylabel(panels.Y_LABELS[role])
    panels.round_y_ticks(all_axes)
    figure.suptitle(f"Merging methods at the largest size ({size}), IT base models")
    entries = [panels.legend_entry(style.method(m), method_label(m), style) for m in methods]
    panels.figure_legend(figure, entries)
