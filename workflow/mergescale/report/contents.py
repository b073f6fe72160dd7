"""What the sections of the report show, as plain data for the templates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from mergescale.analysis import labels, tasks_table
from mergescale.analysis.tidy_tables import ROLES, TIMING, read_table
from mergescale.figures.registry import figure_names

# Keys of study.json with a place of their own; every other key is a fact.
PLACED = ("name", "description", "provenance")
KEY_LABELS = {
    "bases": "Kinds of base models",
    "counts": "Experts merged",
    "draws_per_count": "Draws per count",
    "held_in_categories": "Held-in categories",
    "held_out_categories": "Held-out categories",
    "it_final_loss": "IT loss",
    "pt_final_loss": "PT loss",
    "sizes": "Model sizes",
}


# Colors of the parts of a job, in order: the palette of Okabe and Ito.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")


@dataclass(frozen=True)
class Fact:
    """A label and either a text, or the head and rows of a table (cells are text)."""

    label: str
    text: str = ""
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def study_facts(study: Mapping[str, Any]) -> list[Fact]:
    """Every key of study.json that has no place of its own, in the order of the file."""
    return [_fact(key, value) for key, value in study.items() if key not in PLACED]


def provenance_facts(provenance: Any) -> list[Fact]:
    """study.json's "provenance": digests of the code and versions of the libraries."""
    if not isinstance(provenance, Mapping):
        return [Fact("Provenance", _text(provenance))] if provenance else []
    return [
        Fact(_label(key), rows=[[name, _text(entry)] for name, entry in value.items()])
        if isinstance(value, Mapping)
        else _fact(key, value)
        for key, value in provenance.items()
    ]


def _fact(key: str, value: Any) -> Fact:
    """A JSON value of any shape, as compactly as it allows."""
    label = _label(key)
    if isinstance(value, Mapping):
        return Fact(label, rows=[[_label(k), _text(v)] for k, v in value.items()])
    if isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
        columns = list(dict.fromkeys(column for row in value for column in row))
        rows = [[_text(row.get(column, ""), column) for column in columns] for row in value]
        return Fact(label, head=[_label(column) for column in columns], rows=rows)
    return Fact(label, _text(value, key))


def _label(key: str) -> str:
    """A key as a label: "test_rows" becomes "Test rows"."""
    words = key.replace("_", " ")
    return KEY_LABELS.get(key, words[:1].upper() + words[1:])


def _text(value: Any, key: str = "") -> str:
    """A value as text; names of methods, categories and bases get their labels."""
    if isinstance(value, list):
        return ", ".join(_text(entry, key) for entry in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_text(entry)}" for name, entry in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,}"
    if isinstance(value, float) and key.endswith("loss"):
        return f"{value:.3f}"
    if key == "method":
        return labels.method_label(value)
    if key == "bases":
        return labels.base_label(value)
    if key in ("held_in_categories", "held_out_categories"):
        return labels.category_label(value)
    return "none" if value is None else str(value)


def load_figures(folder: Path) -> list[dict[str, Any]]:
    """Name, caption and inline SVG of every figure; one that was not drawn has an empty SVG."""
    figures = []
    for name in figure_names():
        path = folder / f"figure{name}.svg"
        figure = {"name": name, "caption": "", "svg": ""}
        if path.exists():
            figure["caption"] = path.with_suffix(".rst").read_text(encoding="utf-8").strip()
            description = f"Figure {name}: {figure['caption']}"
            figure["svg"] = inline_svg(path.read_text(encoding="utf-8"), f"f{name}-", description)
        figures.append(figure)
    return figures


def learned_by_size(table: tasks_table.TasksTable) -> list[dict[str, Any]]:
    """What each kind of model has learned: per role and model, a cell per size.

    Returns:
        Rows {title, cells}; a cell has `mean` (the chance-adjusted score, averaged over tasks),
        `above` (how many tasks are above chance) and `tasks`.
    """
    rows = []
    for role in ROLES:
        for model, title in table.models.items():
            cells = [_learned(table.at_size(size, role), model) for size in table.sizes]
            rows.append({"title": f"{title}, {labels.role_label(role)}", "cells": cells})
    return rows


def _learned(rows: list[Mapping[str, Any]], model: str) -> dict[str, Any]:
    """One cell of `learned_by_size`: the tasks of a role and size, scored by one model."""
    scored = [row for row in rows if row[model] == row[model]]
    adjusted = [
        tasks_table.chance_adjusted(row[model], row["chance"], row["ceiling"]) for row in scored
    ]
    adjusted = [value for value in adjusted if value == value]
    return {
        "mean": sum(adjusted) / len(adjusted) if adjusted else float("nan"),
        # A missing number of rows is NA, which is not a number of its own.
        "above": sum(
            tasks_table.beats_chance(row[model], row["chance"], _or_one(row["rows"]))
            for row in scored
        ),
        "tasks": len(scored),
    }


def _or_one(rows: Any) -> int:
    """A number of rows; 1 where tasks.csv has none."""
    import pandas as pd

    return 1 if pd.isna(rows) else int(rows)


def inline_svg(svg: str, prefix: str, description: str) -> Markup:
    """An SVG file as an element of a page: scalable, described, with identifiers of its own.

    Args:
        svg: the file's text, as matplotlib writes it.
        prefix: put before each identifier, since figures on one page share them (glyphs, clips).
        description: the text for screen readers.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}", svg)
    head, rest = svg.split(">", 1)
    width = re.search(r'\bwidth="([\d.]+)pt"', head)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    # 1.6 px a point: about as large on a screen as the figure is meant to be read in print.
    room = f' style="max-width:{float(width[1]) * 1.6:.0f}px"' if width else ""
    return Markup(f'{head} role="img" aria-label="{escape(description)}"{room}>{rest.strip()}')


def time_by_part(path: Path) -> dict[str, Any] | None:
    """Read timing.csv; None where no time was recorded.

    Returns:
        `parts` (rows with part, seconds, share, jobs and color), `seconds` and `jobs` in all. A job
        spends time on several parts, so its number is the largest, not the sum.
    """
    rows = read_table(path, TIMING).dropna(subset=["seconds"])
    total = rows["seconds"].sum()
    if not total > 0:
        return None
    parts = [
        {
            "part": row.part,
            "seconds": row.seconds,
            "share": row.seconds / total,
            "jobs": row.jobs,
            "color": COLORS[i % len(COLORS)],
        }
        for i, row in enumerate(rows.fillna({"jobs": 0}).itertuples())
    ]
    return {"parts": parts, "seconds": total, "jobs": max(part["jobs"] for part in parts)}
