"""Figure 6: performance against the number of experts, one line per model size.

One method (Task Arithmetic). Rows: held-in, held-out; columns: PT bases, IT bases.
"""

from mergescale.analysis import labels
from mergescale.analysis.tidy_tables import HELD_IN, HELD_OUT
from mergescale.figures import panels
from mergescale.figures.style import new_figure

METHOD = "task_arithmetic"


def draw(performance, style, name: str):
    """Return the figure; a study without Task Arithmetic shows its first method."""
    methods = performance.methods
    method = METHOD if METHOD in methods or not methods else methods[0]
    figure = new_figure(style, name)
    cells = [("pt", HELD_IN), ("it", HELD_IN), ("pt", HELD_OUT), ("it", HELD_OUT)]
    all_axes = panels.grid(figure, cells, 2, sharey="row", sharex=True)
    sizes = performance.sizes
    for axes, (base, role) in zip(all_axes, cells, strict=True):
        drawn = []
        for i, size in enumerate(sizes):
            rows = performance.series(
                "count", performance.counts, base=base, role=role, size=size, method=method
            )
            offset = panels.dodge(i, len(sizes), 0.2 * panels.step(performance.counts))
            xs = rows["count"].to_numpy(dtype=float) + offset
            drawn.append(panels.marks(axes, xs, rows, style.size(size), style, label=size))
        panels.reference(axes, style, role, labelled=base == "it")
        panels.say_if_empty(axes, style, drawn)
        panels.count_axis(axes, performance.counts, "number of experts merged")
        axes.set_title(f"{labels.base(base)}, {labels.role(role)}")
        axes.set_ylabel(panels.Y_LABELS[role])
        axes.label_outer(remove_inner_ticks=False)
    panels.finish(all_axes)
    figure.suptitle(f"{labels.method(method)}: more experts at every size")
    panels.legend(figure, [panels.key(style.size(size), size, style) for size in sizes])
    return figure
