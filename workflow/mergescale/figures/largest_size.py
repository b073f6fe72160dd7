"""Figure 7: all merging methods on the largest IT models, against the number of experts."""

from mergescale.analysis import labels
from mergescale.analysis.tidy_tables import ROLES
from mergescale.figures import panels
from mergescale.figures.style import new_figure


def draw(performance, style, name: str):
    """Return the figure: panels held-in and held-out, one line per method."""
    figure = new_figure(style, name)
    size = performance.sizes[-1] if performance.sizes else ""
    methods = performance.methods
    all_axes = panels.grid(figure, list(ROLES), 2)
    for axes, role in zip(all_axes, ROLES, strict=True):
        drawn = []
        for i, method in enumerate(methods):
            rows = performance.series(
                "count", performance.counts, base="it", role=role, size=size, method=method
            )
            offset = panels.dodge(i, len(methods), 0.2 * panels.step(performance.counts))
            xs = rows["count"].to_numpy(dtype=float) + offset
            mark = style.method(method)
            drawn.append(panels.marks(axes, xs, rows, mark, style, label=labels.method(method)))
        panels.reference(axes, style, role)
        panels.say_if_empty(axes, style, drawn)
        panels.count_axis(axes, performance.counts)
        axes.set_title(labels.role(role))
        axes.set_ylabel(panels.Y_LABELS[role])
    panels.finish(all_axes)
    figure.suptitle(f"Merging methods at the largest size ({size}), IT base models")
    panels.legend(figure, [panels.key(style.method(m), labels.method(m), style) for m in methods])
    return figure
