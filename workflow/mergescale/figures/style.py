"""One look for every figure: which colour and marker belongs to which method, base and size.

A method, base or size has the same colour in every figure. Files are the same bytes for the same
numbers and style: no dates, no program versions, fixed identifiers in the SVG.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import seaborn
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mergescale.analysis.writing import replace_bytes

FORMATS = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


@dataclass(frozen=True)
class Mark:
    """How one entity is drawn; `edge` is None or the colour of an outline."""

    colour: object
    marker: str
    edge: object = None


class Style:
    """The settings of config/style.yaml, applied to the methods, bases and sizes of a study."""

    def __init__(self, settings: dict, methods=(), bases=(), sizes=()):
        self.settings = settings
        self._methods = _assign(methods, settings["methods"], settings["further_methods"])
        further = [{"colour": colour} for colour in settings["further_bases"]]
        self._bases = _assign(bases, settings["bases"], further)
        ramp = seaborn.blend_palette(settings["sizes"]["ramp"], max(len(sizes), 2))
        ramp = ramp if len(sizes) > 1 else ramp[-1:]
        markers = settings["sizes"]["markers"]
        self._sizes = {
            size: Mark(matplotlib.colors.to_hex(ramp[i]), markers[i % len(markers)])
            for i, size in enumerate(sizes)
        }

    def method(self, name: str) -> Mark:
        """Colour and marker of a method, or of "multitask"."""
        return self._methods[name]

    def base(self, name: str) -> Mark:
        """Colour of a kind of base model."""
        return self._bases[name]

    def size(self, name: str) -> Mark:
        """Colour and marker of a model size."""
        return self._sizes[name]

    def figure_size(self, figure: str) -> list:
        """Width and height of a figure in inches."""
        return self.settings["figure_sizes"][figure]

    def active(self):
        """A context to draw and save figures in: fonts, axes, fixed SVG identifiers."""
        chosen = self.settings
        small, text = chosen["small_font_size"], chosen["text_colour"]
        return matplotlib.rc_context(
            {
                **seaborn.axes_style("ticks"),
                **seaborn.plotting_context("paper"),
                "font.family": "sans-serif",
                "font.sans-serif": [chosen["font"], "DejaVu Sans"],
                "font.size": chosen["font_size"],
                "figure.titlesize": chosen["title_size"],
                "axes.titlesize": chosen["font_size"],
                "axes.labelsize": chosen["font_size"],
                "xtick.labelsize": small,
                "ytick.labelsize": small,
                "legend.fontsize": small,
                "legend.frameon": False,
                "text.color": text,
                "axes.labelcolor": text,
                "axes.edgecolor": text,
                "xtick.color": text,
                "ytick.color": text,
                "axes.linewidth": 0.7,
                "xtick.major.width": 0.7,
                "ytick.major.width": 0.7,
                "axes.grid": True,
                "axes.grid.axis": "y",
                "axes.axisbelow": True,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "grid.color": chosen["grid_colour"],
                "grid.linewidth": 0.6,
                "lines.linewidth": chosen["line_width"],
                "lines.markersize": chosen["marker_size"],
                "savefig.dpi": chosen["png_dpi"],
                "svg.hashsalt": "mergescale",
                "svg.fonttype": "path",
                "pdf.fonttype": 42,
            }
        )


def _assign(names, known: dict, further: list) -> dict:
    """A Mark for every name and every known entity; unknown names take `further` in turn."""
    spare = [name for name in names if name not in known]
    settings = dict(known)
    for i, name in enumerate(spare):
        settings[name] = further[i % len(further)]
    return {
        name: Mark(one["colour"], one.get("marker", "o"), one.get("edge"))
        for name, one in settings.items()
    }


def load(path, performance) -> Style:
    """Read style.yaml for the methods, bases and sizes of a `Performance`."""
    settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    return Style(settings, performance.methods, performance.bases, performance.sizes)


def new_figure(style: Style, name: str) -> Figure:
    """An empty figure of the size the style gives it; no window system is involved."""
    figure = Figure(figsize=style.figure_size(name), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, stem) -> None:
    """Write `stem`.pdf, .svg and .png; call inside `Style.active()`."""
    for kind, metadata in FORMATS.items():
        stream = io.BytesIO()
        figure.savefig(stream, format=kind, metadata=metadata)
        replace_bytes(f"{stem}.{kind}", stream.getvalue())
