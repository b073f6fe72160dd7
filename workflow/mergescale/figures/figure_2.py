"""Figure 2: zero-shot generalization against the number of experts, instruction-tuned bases.

A panel per size; Task Arithmetic, TIES and the multitask model. 1 is the base model's own score.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from mergescale.analysis.labels import base_label, method_label
from mergescale.analysis.tidy_tables import HELD_OUT, MULTITASK
from mergescale.figures import panels
from mergescale.figures.data import Performance
from mergescale.figures.style import Style

SIZE = (6.8, 2.7)
CAPTION = """
Zero-shot generalization of merges of instruction-tuned models: performance on held-out tasks
against the number of experts merged.
{% if performance.omitted_sizes %}
As in the paper, only the smallest and the two largest sizes are shown (without
{{ performance.omitted_sizes | join(", ") }}).
{% endif %}
The dashed line at 1 is the base model's own score. {{ error_bars }}
"""
# The paper draws only two of its methods here. A method that is added to a study is drawn as well.
NOT_DRAWN = {"averaging", "dare_ties"}


def draw(figure: Figure, performance: Performance, style: Style) -> None:
    """Draw the figure."""
    draw_generalization(figure, performance, style, base="it")


def draw_generalization(
    figure: Figure, performance: Performance, style: Style, *, base: str
) -> None:
    """Draw held-out performance by count for one kind of base: Figure 2 (it) or 5 (pt)."""
    methods = [m for m in performance.methods if m not in NOT_DRAWN] or performance.methods
    lines = [*methods, MULTITASK]
    sizes = performance.shown_sizes
    all_axes = panels.panel_grid(figure, sizes, len(sizes), sharey=True)
    shown = set()
    width = 0.2 * panels.min_step(performance.counts)
    for axes, size in zip(all_axes, sizes, strict=False):
        drawn = []
        for i, method in enumerate(lines):
            rows = performance.series(
                "count", performance.counts, base=base, role=HELD_OUT, method=method, size=size
            )
            xs = rows["count"].to_numpy(dtype=float) + panels.dodge(i, len(lines), width)
            mark, label = style.method(method), method_label(method)
            # The multitask model is what the merges are compared with: it lies behind them.
            zorder = 2.5 if method == MULTITASK else 3
            line = panels.plot_means(axes, xs, rows, mark, style, label=label, zorder=zorder)
            drawn.append(line)
            if line is not None:
                shown.add(method)
        panels.reference_line(axes, style, HELD_OUT, labeled=axes is all_axes[-1])
        panels.note_if_empty(axes, style, drawn)
        panels.count_axis(axes, performance.counts)
        axes.set_title(size)
    panels.round_y_ticks(all_axes)
    all_axes[0].set_ylabel("held-out performance\n" + panels.Y_LABELS[HELD_OUT])
    figure.suptitle(f"Generalization to held-out tasks, {base_label(base)} base models")
    panels.figure_legend(
        figure,
        [
            panels.legend_entry(style.method(method), method_label(method), style)
            for method in lines
            if method in shown
        ],
    )
