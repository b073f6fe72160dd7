"""Figure 3: held-in performance against model size, a panel per number of experts.

Colour tells the kind of base model, the marker the merging method; 1 is the experts' score.
"""

from mergescale.analysis import labels
from mergescale.analysis.tidy_tables import HELD_IN
from mergescale.figures import panels
from mergescale.figures.style import Mark, new_figure


def draw(performance, style, name: str):
    """Return the figure."""
    figure = new_figure(style, name)
    counts = performance.counts
    columns = 2 if len(counts) in (2, 4) else 3
    all_axes = panels.grid(figure, counts, columns, sharey=True)
    kinds = [(base, method) for base in performance.bases for method in performance.methods]
    colour_of = {base: style.base(base).colour for base in performance.bases}
    for axes, count in zip(all_axes, counts, strict=False):
        drawn = []
        for i, (base, method) in enumerate(kinds):
            rows = performance.series(
                "size", performance.sizes, base=base, role=HELD_IN, method=method, count=count
            )
            offset = panels.dodge(i, len(kinds), 0.56)
            xs = [performance.sizes.index(size) + offset for size in rows["size"]]
            mark = Mark(colour_of[base], style.method(method).marker)
            label = f"{labels.base(base)}, {labels.method(method)}"
            line = panels.marks(axes, xs, rows, mark, style, label=label)
            if line is not None:
                # Eight lines a panel: the marks carry the figure, the lines only lead the eye.
                line.set_linewidth(0.5)
                line.set_markersize(0.8 * style.settings["marker_size"])
            drawn.append(line)
        panels.reference(axes, style, HELD_IN)
        panels.say_if_empty(axes, style, drawn)
        room = 36 if columns == 2 else 22
        panels.name_axis(axes, performance.sizes, "model size", room=room)
        axes.set_title(f"{count} experts")
        axes.set_ylabel(panels.Y_LABELS[HELD_IN])
        axes.label_outer(remove_inner_ticks=False)
    panels.finish(all_axes)
    figure.suptitle("Held-in performance by size, kind of base model and merging method")
    grey = style.settings["reference_colour"]
    entries = [
        panels.key(Mark(colour_of[base], "none"), f"{labels.base(base)} base", style)
        for base in performance.bases
    ]
    entries += [
        panels.key(
            Mark(grey, style.method(method).marker), labels.method(method), style, line=False
        )
        for method in performance.methods
    ]
    panels.legend(figure, entries)
    return figure
