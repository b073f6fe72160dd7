"""Figure 4: held-in performance of each merging method, one colour per model size.

Panels: PT bases and few experts, IT bases and few experts, IT bases and many experts.
"""

from mergescale.analysis import labels
from mergescale.analysis.tidy_tables import HELD_IN
from mergescale.figures import panels
from mergescale.figures.style import new_figure


def draw(performance, style, name: str):
    """Return the figure; with a single number of experts the last two panels are one."""
    figure = new_figure(style, name)
    few, many = (performance.counts or [0])[0], (performance.counts or [0])[-1]
    cells = list(dict.fromkeys([("pt", few), ("it", few), ("it", many)]))
    all_axes = panels.grid(figure, cells, len(cells), sharey=True)
    sizes = performance.sizes
    for axes, (base, count) in zip(all_axes, cells, strict=True):
        drawn = []
        for i, size in enumerate(sizes):
            rows = performance.series(
                "method", performance.methods, base=base, role=HELD_IN, size=size, count=count
            )
            offset = panels.dodge(i, len(sizes), 0.5)
            xs = [performance.methods.index(method) + offset for method in rows["method"]]
            drawn.append(
                panels.marks(axes, xs, rows, style.size(size), style, label=size, line=False)
            )
        panels.reference(axes, style, HELD_IN, labelled=axes is all_axes[-1])
        panels.say_if_empty(axes, style, drawn)
        panels.name_axis(axes, [labels.method(method) for method in performance.methods])
        axes.set_title(f"{labels.base(base)}, {count} experts")
    panels.finish(all_axes)
    all_axes[0].set_ylabel("held-in performance\n" + panels.Y_LABELS[HELD_IN])
    figure.suptitle("Merging methods by model size, held-in tasks")
    panels.legend(figure, [panels.key(style.size(size), size, style, line=False) for size in sizes])
    return figure
