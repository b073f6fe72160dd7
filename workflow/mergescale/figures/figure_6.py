"""Figure 6: performance against the number of experts, one line per model size.

One method (Task Arithmetic). Rows: held-in, held-out; columns: PT bases, IT bases.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from mergescale.analysis.labels import base_label, method_label, role_label
from mergescale.analysis.tidy_tables import HELD_IN, HELD_OUT
from mergescale.figures import panels
from mergescale.figures.data import Performance
from mergescale.figures.style import Style

METHOD = "task_arithmetic"
SIZE = (6.0, 4.9)
CAPTION = """
Performance of the method in the title (Task Arithmetic if the study has it, as in the paper)
against the number of experts merged, a line per model size: held-in (1: the matching experts) and
held-out (1: the base model), for pre-trained (PT) and instruction-tuned (IT) bases.
{{ error_bars }}
"""


def draw(figure: Figure, performance: Performance, style: Style) -> None:
    """Draw the figure; a study without Task Arithmetic shows its first method."""
    methods = performance.methods
    method = METHOD if METHOD in methods or not methods else methods[0]
    cells = [("pt", HELD_IN), ("it", HELD_IN), ("pt", HELD_OUT), ("it", HELD_OUT)]
    all_axes = panels.panel_grid(figure, cells, 2, sharey="row", sharex=True)
    sizes = performance.sizes
    for axes, (base, role) in zip(all_axes, cells, strict=True):
        drawn = []
        for i, size in enumerate(sizes):
            rows = performance.series(
                "count", performance.counts, base=base, role=role, size=size, method=method
            )
            offset = panels.dodge(i, len(sizes), 0.2 * panels.min_step(performance.counts))
            xs = rows["count"].to_numpy(dtype=float) + offset
            drawn.append(panels.plot_means(axes, xs, rows, style.size(size), style, label=size))
        panels.reference_line(axes, style, role, labeled=base == "it")
        panels.note_if_empty(axes, style, drawn)
        panels.count_axis(axes, performance.counts)
        axes.set_title(f"{base_label(base)}, {role_label(role)}")
        axes.set_ylabel(panels.Y_LABELS[role])
        axes.label_outer(remove_inner_ticks=False)
    panels.round_y_ticks(all_axes)
    figure.suptitle(f"{method_label(method)} by number of experts and model size")
    panels.figure_legend(figure, [panels.legend_entry(style.size(s), s, style) for s in sizes])
