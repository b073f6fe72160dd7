"""Renders report.html from a study's files: one HTML file that needs nothing from outside."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mergescale.analysis import labels, tables, tasks_table, tidy_tables, uncertainty
from mergescale.provenance.atomic import write_text
from mergescale.provenance.digests import file_digest
from mergescale.report import contents

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
            facts=contents.study_facts(record),
            figures=contents.load_figures(figures),
            tables=performance_tables,
            all_tasks=all_tasks,
            learned=contents.learned_by_size(all_tasks),
            spreads=uncertainty.spread_of_draws(performance_tables),
            varied_counts=uncertainty.varied_counts(normalized_rows),
            num_scores=len(normalized_rows),
            titles=dict(zip(all_tasks.rows["task"], all_tasks.rows["title"], strict=True)),
            without_reference=uncertainty.without_reference(normalized_rows).to_dict("records"),
            timing=contents.time_by_part(timing_table) if timing_table else None,
            provenance=contents.provenance_facts(record.get("provenance")),
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
        duration=format_duration,
        thousands=lambda value: f"{value:,}",
    )
    templates.globals.update(
        chance_adjusted=tasks_table.chance_adjusted, roles=tidy_tables.ROLES, note=tasks_table.NOTE
    )
    return templates


def format_duration(seconds: float) -> str:
    """7.3 becomes "7.3 s", 125 "2 min 05 s", 4000 "1 h 07 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


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
