"""One style for every figure: which color and marker each method, kind of base and size has.

A method, base or size has the same color in every figure. Files are the same bytes for the same
numbers and style: no dates, no program versions, fixed identifiers in the SVG.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import matplotlib
import seaborn
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mergescale.figures.data import Performance
from mergescale.messages import did_you_mean
from mergescale.provenance.atomic import write_bytes
from mergescale.strict_yaml import read_mapping

FORMATS = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


@dataclass(frozen=True)
class Mark:
    """How one entity is drawn; `edge` is None or the color of an outline."""

    color: str
    marker: str = "o"
    edge: str | None = None


@dataclass(frozen=True)
class Settings:
    """The keys of config/style.yaml, which describes them. Lengths are points, sizes inches."""

    font: str
    font_size: float
    small_font_size: float
    title_size: float
    line_width: float
    error_line_width: float
    marker_size: float
    png_dpi: float
    grid_color: str
    text_color: str
    reference_color: str
    methods: Mapping[str, Mark]
    further_methods: Sequence[Mark]
    bases: Mapping[str, Mark]
    further_bases: Sequence[Mark]
    size_ramp: Sequence[str]
    size_markers: Sequence[str]
    figure_sizes: Mapping[str, Sequence[float]]


class Style:
    """The settings of config/style.yaml, applied to the methods, bases and sizes of a study."""

    def __init__(
        self,
        settings: Settings,
        methods: Sequence[str] = (),
        bases: Sequence[str] = (),
        sizes: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self._methods = _assign(methods, settings.methods, settings.further_methods)
        self._bases = _assign(bases, settings.bases, settings.further_bases)
        ramp = seaborn.blend_palette(settings.size_ramp, max(len(sizes), 2))
        ramp = ramp if len(sizes) > 1 else ramp[-1:]
        markers = settings.size_markers
        self._sizes = {
            size: Mark(matplotlib.colors.to_hex(ramp[i]), markers[i % len(markers)])
            for i, size in enumerate(sizes)
        }

    def method(self, name: str) -> Mark:
        """Color and marker of a method, or of "multitask"."""
        return self._methods[name]

    def base(self, name: str) -> Mark:
        """Color of a kind of base model."""
        return self._bases[name]

    def size(self, name: str) -> Mark:
        """Color and marker of a model size."""
        return self._sizes[name]

    def figure_size(self, name: str, default: tuple[float, float]) -> Sequence[float]:
        """Width and height of a figure in inches: from `figure_sizes`, else the figure's own."""
        return self.settings.figure_sizes.get(name, default)

    def active(self) -> AbstractContextManager[None]:
        """A context to draw and save figures in: fonts, axes, fixed SVG identifiers."""
        settings = self.settings
        small, text = settings.small_font_size, settings.text_color
        return matplotlib.rc_context(
            {
                **seaborn.axes_style("ticks"),
                **seaborn.plotting_context("paper"),
                "font.family": "sans-serif",
                "font.sans-serif": [settings.font, "DejaVu Sans"],
                "font.size": settings.font_size,
                "figure.titlesize": settings.title_size,
                "axes.titlesize": settings.font_size,
                "axes.labelsize": settings.font_size,
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
                "grid.color": settings.grid_color,
                "grid.linewidth": 0.6,
                "lines.linewidth": settings.line_width,
                "lines.markersize": settings.marker_size,
                "savefig.dpi": settings.png_dpi,
                "svg.hashsalt": "mergescale",
                "svg.fonttype": "path",
                "pdf.fonttype": 42,
            }
        )


def load_style(path: Path, performance: Performance) -> Style:
    """Read style.yaml for the methods, bases and sizes of a study.

    Raises:
        ValueError: a key is unknown or missing, or a mark has no color; one line that names it.
    """
    return Style(read_settings(path), performance.methods, performance.bases, performance.sizes)


def read_settings(path: Path) -> Settings:
    """Read style.yaml; raises ValueError as `load_style` does."""
    values = read_mapping(Path(path))
    _check_keys(path, "", values, [field.name for field in fields(Settings)])
    for key in ("methods", "bases"):
        values[key] = {
            name: _mark(path, f"{key}.{name}", mark) for name, mark in (values[key] or {}).items()
        }
    for key in ("further_methods", "further_bases"):
        values[key] = [_mark(path, key, mark) for mark in values[key]]
    sizes = values["figure_sizes"] or {}
    values["figure_sizes"] = {str(name): size for name, size in sizes.items()}
    return Settings(**values)


def _mark(path: Path, key: str, value: Any) -> Mark:
    """The mark that a mapping in style.yaml stands for."""
    if not isinstance(value, dict):
        raise ValueError(f"{path}: {key} must be a mapping, such as {{color: '#0072B2'}}")
    _check_keys(
        path, f"{key}.", {"marker": "o", "edge": None, **value}, ["color", "marker", "edge"]
    )
    return Mark(**value)


def _check_keys(path: Path, prefix: str, given: Mapping[str, Any], keys: list[str]) -> None:
    """Every key is known, and none is missing; else ValueError."""
    for key in given:
        if key not in keys:
            raise ValueError(f"{prefix}{key} is not a key of {path}{did_you_mean(key, keys)}")
    for key in keys:
        if key not in given:
            raise ValueError(f"{path} has no key {prefix}{key}")


def _assign(
    names: Sequence[str], known: Mapping[str, Mark], further: Sequence[Mark]
) -> dict[str, Mark]:
    """A mark for every name and every known entity; unknown names take `further` in turn."""
    spare = [name for name in names if name not in known]
    return {**known, **{name: further[i % len(further)] for i, name in enumerate(spare)}}


def new_figure(size: Sequence[float]) -> Figure:
    """An empty figure, `size` inches wide and high; no window system is involved."""
    figure = Figure(figsize=tuple(size), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, stem: Path) -> None:
    """Write `stem`.pdf, .svg and .png; call inside `Style.active()`."""
    for kind, metadata in FORMATS.items():
        stream = io.BytesIO()
        figure.savefig(stream, format=kind, metadata=metadata)
        write_bytes(f"{stem}.{kind}", stream.getvalue())
