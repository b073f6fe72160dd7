"""Figure 4: held-in performance of each merging method, one color per model size.

Panels: PT bases and few experts, IT bases and few experts, IT bases and many experts.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from mergescale.analysis.labels import base_label, method_label
from mergescale.analysis.tidy_tables import HELD_IN
from mergescale.figures import panels
from mergescale.figures.data import Performance
from mergescale.figures.style import Style

SIZE = (6.8, 2.9)
CAPTION = """
Held-in performance of each merging method, colored by model size: pre-trained (PT) bases with few
experts, instruction-tuned (IT) bases with few and with many experts. The dashed line at 1 is the
score of the matching experts. {{ error_bars }}
"""


def draw(figure: Figure, performance: Performance, style: Style) -> None:
    """Draw the figure; with a single number of experts the last two panels are one."""
    few, many = (performance.counts or [0])[0], (performance.counts or [0])[-1]
    cells = list(dict.fromkeys([("pt", few), ("it", few), ("it", many)]))
    all_axes = panels.panel_grid(figure, cells, len(cells), sharey=True)
    sizes = performance.sizes
    for axes, (base, count) in zip(all_axes, cells, strict=True):
        drawn = []
        for i, size in enumerate(sizes):
            rows = performance.series(
                "method", performance.methods, base=base, role=HELD_IN, size=size, count=count
            )
            offset = panels.dodge(i, len(sizes), 0.5)
            xs = [performance.methods.index(method) + offset for method in rows["method"]]
            mark = style.size(size)
            drawn.append(panels.plot_means(axes, xs, rows, mark, style, label=size, line=False))
        panels.reference_line(axes, style, HELD_IN, labeled=axes is all_axes[-1])
        panels.note_if_empty(axes, style, drawn)
        panels.name_axis(axes, [method_label(method) for method in performance.methods])
        axes.set_title(f"{base_label(base)}, {count} experts")
    panels.round_y_ticks(all_axes)
    all_axes[0].set_ylabel("held-in performance\n" + panels.Y_LABELS[HELD_IN])
    figure.suptitle("Merging methods by model size, held-in tasks")
    entries = [panels.legend_entry(style.size(s), s, style, line=False) for s in sizes]
    panels.figure_legend(figure, entries)
