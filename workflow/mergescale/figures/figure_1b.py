"""Figure 1b: held-in performance around a circle, merging the largest number of experts.

The same as Figure 1a for the other end of the counts.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from mergescale.figures import figure_1a
from mergescale.figures.data import Performance
from mergescale.figures.style import Style

SIZE = figure_1a.SIZE
CAPTION = figure_1a.CAPTION.replace("smallest number", "largest number").replace(
    "counts[0]", "counts[-1]"
)


def draw(figure: Figure, performance: Performance, style: Style) -> None:
    """Draw the figure."""
    count = performance.counts[-1] if performance.counts else 0
    figure_1a.draw_radar(figure, performance, style, count)
