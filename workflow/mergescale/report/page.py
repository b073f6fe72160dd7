"""Renders report.html from a study's files: one HTML file that needs nothing from outside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mergescale.analysis import labels, tables, tasks_table, tidy_tables, uncertainty
from mergescale.figures.registry import figure_names
from mergescale.provenance.atomic import write_text
from mergescale.provenance.digests import file_digest
from mergescale.report import facts, timing
from mergescale.report.svg import inline_svg

TEMPLATES = Path(__file__).parent / "templates"


def write_report(
    *,
    study: Path,
    performance: Path,
    scores: Path,
    normalized: Path,
    tasks: Path,
    figures: Path,
    tables_folder: Path,
    out: Path,
    timing_table: Path | None = None,
) -> None:
    """Write the report.

    Args:
        study: study.json; `description` and `provenance` have places of their own on the page,
            every other key is shown as a fact, in the order of the file.
        performance: performance.csv.
        scores: scores.csv.
        normalized: normalized.csv.
        tasks: tasks.csv.
        figures: the folder of the figures (SVG) and their captions.
        tables_folder: the folder of Tables 1-4.
        out: report.html, to write.
        timing_table: timing.csv, or None.

    Raises:
        ValueError: a table lacks a column.
    """
    record = json.loads(study.read_text(encoding="utf-8"))
    performance_tables = [
        tables.build_table(
            tidy_tables.read_table(tables_folder / f"{name}.csv", tables.COLUMNS), name
        )
        for name in tables.TABLES
    ]
    normalized_rows = tidy_tables.read_table(normalized, tidy_tables.NORMALIZED)
    sizes = tidy_tables.unique_values(
        tidy_tables.read_table(tables_folder / "tasks.csv", {"size": "text"})["size"]
    )
    all_tasks = tasks_table.build_table(
        tidy_tables.read_table(scores, tidy_tables.SCORES),
        tidy_tables.read_table(tasks, tidy_tables.TASKS),
        sizes,
    )
    sources = {
        "performance.csv": performance,
        "scores.csv": scores,
        "normalized.csv": normalized,
        "tasks.csv": tasks,
    }
    text = (
        environment()
        .get_template("report.html.j2")
        .render(
            css=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
            study=record,
            facts=facts.study_facts(record),
            figures=load_figures(figures),
            tables=performance_tables,
            all_tasks=all_tasks,
            learned=learned_by_size(all_tasks),
            spreads=uncertainty.spread_of_draws(performance_tables, normalized_rows),
            varied_counts=uncertainty.varied_counts(normalized_rows),
            num_scores=len(normalized_rows),
            titles=dict(zip(all_tasks.rows["task"], all_tasks.rows["title"], strict=True)),
            without_reference=uncertainty.without_reference(normalized_rows).to_dict("records"),
            timing=timing.shares(timing_table) if timing_table else None,
            provenance=facts.provenance_facts(record.get("provenance")),
            digests={name: file_digest(path) for name, path in sources.items()},
        )
    )
    write_text(out, text)


def environment() -> Environment:
    """The templates, with the labels and formats that they use; all text is escaped."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        method=labels.method_label,
        base=labels.base_label,
        role=labels.role_label,
        metric=labels.metric_label,
        category=labels.category_label,
        score=tasks_table.format_score,
        decimals=lambda value: "" if value != value else f"{value:.3f}",
        percent=percent,
        shade=shade,
        duration=timing.format_duration,
        thousands=lambda value: f"{value:,}",
    )
    templates.globals.update(
        chance_adjusted=tasks_table.chance_adjusted, roles=tidy_tables.ROLES, note=tasks_table.NOTE
    )
    return templates


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
    for role in tidy_tables.ROLES:
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


def percent(share: float) -> str:
    """A share in whole percent, such as "87%"; -0.2% is "0%"; empty for NaN."""
    return "" if share != share else f"{round(100 * share) + 0}%"


def shade(share: float) -> Markup:
    """A cell's background: bluer the closer to the ceiling, orange below chance, none for NaN."""
    if share != share:
        return Markup("")
    if share < 0:
        return Markup(f' style="background:rgba(213,94,0,{min(0.12 - share, 0.5):.2f})"')
    return Markup(f' style="background:rgba(0,114,178,{0.05 + 0.45 * min(share, 1.0):.2f})"')
