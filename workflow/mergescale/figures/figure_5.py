"""Figure 5: zero-shot generalization against the number of experts, pre-trained bases.

The same as Figure 2 for the other kind of base model.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from mergescale.figures import figure_2
from mergescale.figures.data import Performance
from mergescale.figures.style import Style

SIZE = figure_2.SIZE
CAPTION = figure_2.CAPTION.replace("instruction-tuned models", "pre-trained models")


def draw(figure: Figure, performance: Performance, style: Style) -> None:
    """Draw the figure."""
    figure_2.draw_generalization(figure, performance, style, base="pt")
