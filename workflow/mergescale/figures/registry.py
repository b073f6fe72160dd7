"""All figures by name, and drawing them into files."""

from pathlib import Path

from mergescale.figures import (
    count_by_size,
    data,
    held_out_by_count,
    largest_size,
    method_by_size,
    radar,
    size_and_count,
)
from mergescale.figures import style as styles


def _radar(end: int):
    """Figure 1 for the smallest (end 0) or the largest (end -1) number of experts merged."""

    def draw(performance, style, name):
        return radar.draw(performance, style, name, (performance.counts or [0])[end])

    return draw


# Figure name -> function(performance, style, name) -> matplotlib Figure.
FIGURES = {
    "1a": _radar(0),
    "1b": _radar(-1),
    "2": lambda performance, style, name: held_out_by_count.draw(performance, style, name, "it"),
    "3": size_and_count.draw,
    "4": method_by_size.draw,
    "5": lambda performance, style, name: held_out_by_count.draw(performance, style, name, "pt"),
    "6": count_by_size.draw,
    "7": largest_size.draw,
}


def write(names, performance_csv, style_yaml, stem_of, sizes=None, methods=None) -> None:
    """Draw the figures `names` into `stem_of(name)`.pdf, .svg and .png.

    Reads the performance file and the style once; `sizes` and `methods` give the order.
    """
    performance = data.load(performance_csv, sizes, methods)
    style = styles.load(style_yaml, performance)
    with style.active():
        for name in names:
            styles.save(FIGURES[name](performance, style, name), Path(stem_of(name)))
