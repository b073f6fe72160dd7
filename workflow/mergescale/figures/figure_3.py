"""Figure 3: held-in performance against model size, one panel for each number of experts.

The color is the kind of base model, the marker the merging method; 1 is the experts' score.
"""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mergescale.analysis.labels import base_label, method_label
from mergescale.analysis.tidy_tables import HELD_IN
from mergescale.figures import panels
from mergescale.figures.data import Performance
from mergescale.figures.style import Mark, Style

SIZE = (6.8, 5.6)
CAPTION = """
Held-in performance against model size, with one panel for each number of merged experts. The color
is the kind of base model (PT: pre-trained, IT: instruction-tuned), the marker the merging method;
the marks of a size stand side by side. The dashed line at 1 is the score of the matching experts.
{{ error_bars }}
"""


def draw(figure: Figure, performance: Performance, style: Style) -> None:
    """Draw the figure."""
    counts = performance.counts
    columns = 2 if len(counts) in (2, 4) else 3
    all_axes = panels.panel_grid(figure, counts, columns, sharey=True)
    kinds = [(base, method) for base in performance.bases for method in performance.methods]
    color_of = {base: style.base(base).color for base in performance.bases}
    for axes, count in zip(all_axes, counts, strict=False):
        drawn = []
        for i, (base, method) in enumerate(kinds):
            rows = performance.series(
                "size", performance.sizes, base=base, role=HELD_IN, method=method, count=count
            )
            offset = panels.dodge(i, len(kinds), 0.6)
            xs = [performance.sizes.index(size) + offset for size in rows["size"]]
            mark = Mark(color_of[base], style.method(method).marker)
            label = f"{base_label(base)}, {method_label(method)}"
            line = panels.plot_means(axes, xs, rows, mark, style, label=label, line=False)
            drawn.append(line)
        for i in range(1, len(performance.sizes)):
            axes.axvline(i - 0.5, color=style.settings.grid_color, linewidth=0.6, zorder=1)
        panels.reference_line(axes, style, HELD_IN)
        panels.note_if_empty(axes, style, drawn)
        room = 36 if columns == 2 else 22
        panels.name_axis(axes, performance.sizes, "model size", room=room)
        axes.set_title(f"{count} experts")
        axes.set_ylabel(panels.Y_LABELS[HELD_IN])
        axes.label_outer(remove_inner_ticks=False)
    panels.round_y_ticks(all_axes)
    figure.suptitle("Held-in performance by size, kind of base model and merging method")
    gray = style.settings.reference_color
    entries = [
        (Patch(color=color_of[base], linewidth=0), f"{base_label(base)} base")
        for base in performance.bases
    ]
    entries += [
        panels.legend_entry(
            Mark(gray, style.method(method).marker), method_label(method), style, line=False
        )
        for method in performance.methods
    ]
    panels.figure_legend(figure, entries)
