"""Figures 2 and 5: zero-shot generalisation against the number of experts.

A panel per size; Task Arithmetic, TIES and the multitask model; 1 is the base model's own score.
"""

from mergescale.analysis import labels
from mergescale.analysis.tidy_tables import HELD_OUT, MULTITASK
from mergescale.figures import panels
from mergescale.figures.style import new_figure

# The paper draws only two of its methods here. A method added to a study is drawn as well.
NOT_DRAWN = {"averaging", "dare_ties"}


def draw(performance, style, name: str, base: str):
    """Return the figure for the bases `base` ("it": Figure 2, "pt": Figure 5)."""
    methods = [m for m in performance.methods if m not in NOT_DRAWN] or performance.methods
    lines = [*methods, MULTITASK]
    figure = new_figure(style, name)
    sizes = performance.some_sizes()
    all_axes = panels.grid(figure, sizes, len(sizes), sharey=True)
    shown = set()
    width = 0.2 * panels.step(performance.counts)
    for axes, size in zip(all_axes, sizes, strict=False):
        drawn = []
        for i, method in enumerate(lines):
            rows = performance.series(
                "count", performance.counts, base=base, role=HELD_OUT, method=method, size=size
            )
            xs = rows["count"].to_numpy(dtype=float) + panels.dodge(i, len(lines), width)
            mark, label = style.method(method), labels.method(method)
            # The multitask model is what the merges are compared with: it lies behind them.
            zorder = 2.5 if method == MULTITASK else 3
            line = panels.marks(axes, xs, rows, mark, style, label=label, zorder=zorder)
            drawn.append(line)
            if line is not None:
                shown.add(method)
        panels.reference(axes, style, HELD_OUT, labelled=axes is all_axes[-1])
        panels.say_if_empty(axes, style, drawn)
        panels.count_axis(axes, performance.counts)
        axes.set_title(size)
    panels.finish(all_axes)
    all_axes[0].set_ylabel("held-out performance\n" + panels.Y_LABELS[HELD_OUT])
    figure.suptitle(f"Generalisation to held-out tasks, {labels.base(base)} base models")
    entries = [panels.key(style.method(m), labels.method(m), style) for m in lines if m in shown]
    panels.legend(figure, entries)
    return figure
