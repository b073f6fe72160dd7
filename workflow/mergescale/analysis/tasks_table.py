"""The table of all tasks: chance and ceiling beside what each kind of model scores, per size.

A held-in task's expert is the one of its category. A held-out task has no expert of its own: its
entry is the mean over all experts of that size and base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mergescale.analysis import labels
from mergescale.analysis.tables import escape, latex_table, markdown_table
from mergescale.analysis.tidy_tables import (
    BASES,
    HELD_IN,
    ROLES,
    TASKS,
    sort_rows,
    unique_values,
    write_table,
)
from mergescale.provenance.atomic import write_text

if TYPE_CHECKING:
    import pandas as pd

MODELS = ("base", "expert", "multitask")
NOTE = (
    "Scores on test rows. A held-out task has no expert of its own; its expert columns are the "
    "mean over all experts."
)
CAPTION = (
    "Every task with its chance level and its ceiling, and the scores of the base models, the "
    f"experts and the multitask models at each size. {NOTE}"
)


@dataclass(frozen=True)
class TasksTable:
    """`rows`: one row per size and task; `models`: {score column: its title}, in order."""

    rows: pd.DataFrame
    sizes: list[str]
    models: dict[str, str]

    @property
    def columns(self) -> dict[str, str]:
        """The columns of tables/tasks.csv and their kinds."""
        return {"size": "text", **TASKS, **dict.fromkeys(self.models, "number")}

    def at_size(self, size: str, role: str | None = None) -> list[dict]:
        """The rows of one size (and role) as dictionaries."""
        rows = self.rows[self.rows["size"] == size]
        if role is not None:
            rows = rows[rows["role"] == role]
        return rows.to_dict("records")


def build_table(
    scores: pd.DataFrame, tasks: pd.DataFrame, sizes: Sequence[str] | None = None
) -> TasksTable:
    """Join the scores of bases, experts and multitask models to the tasks.

    Args:
        scores: a table with the columns SCORES.
        tasks: a table with the columns TASKS.
        sizes: the sizes to show, in order; by default all, in order of appearance.

    Returns:
        Rows by size, then held-in before held-out, then in the order of `tasks`.
    """
    sizes = list(sizes or unique_values(scores["size"]))
    bases = unique_values(scores["base"], first=BASES)
    other_category = (
        (scores["model"] == "expert")
        & (scores["role"] == HELD_IN)
        & (scores["expert"] != scores["category"])
    )
    single = scores[scores["model"].isin(MODELS) & ~other_category]
    means = single.groupby(["size", "task", "model", "base"], sort=False)["score"].mean()
    wide = means.unstack(["model", "base"])
    models = {
        f"{model}_{base}": f"{labels.base_label(base)} {model}"
        for model in MODELS
        for base in bases
    }
    wide = wide.reindex(columns=[(model, base) for model in MODELS for base in bases])
    wide.columns = list(models)
    rows = tasks.merge(wide.reset_index(), on="task", how="inner", validate="one_to_many")
    rows = rows[rows["size"].isin(sizes)]
    orders = {
        "size": sizes,
        "role": ROLES,
        "category": unique_values(tasks["category"]),
        "task": list(tasks["task"]),
    }
    rows = sort_rows(rows, ["size", "role", "category", "task"], orders)
    return TasksTable(rows, sizes, models)


def write_tasks_table(
    scores: pd.DataFrame, tasks: pd.DataFrame, folder: Path, sizes: Sequence[str] | None = None
) -> None:
    """Write tasks.csv, tasks.md, tasks.tex and the caption tasks.rst into `folder`."""
    table = build_table(scores, tasks, sizes)
    write_table(table.rows, folder / "tasks.csv", table.columns)
    write_text(folder / "tasks.md", markdown(table))
    write_text(folder / "tasks.tex", latex(table))
    write_text(folder / "tasks.rst", CAPTION + "\n")


def chance_adjusted(score: float, chance: float, ceiling: float) -> float:
    """(score - chance) / (ceiling - chance): 0 is chance, 1 the ceiling; NaN without a range."""
    return (score - chance) / (ceiling - chance) if ceiling > chance else float("nan")


def beats_chance(score: float, chance: float, rows: int) -> bool:
    """Whether a score is above chance by more than two standard errors of guessing on `rows`."""
    return score > chance + 2 * (max(chance * (1 - chance), 0) / max(rows, 1)) ** 0.5


def format_score(value: float) -> str:
    """A score with two decimals; empty for NaN."""
    return "" if value != value else f"{value:.2f}"


def markdown(table: TasksTable) -> str:
    """One Markdown table per size."""
    blocks = ["### All tasks", NOTE]
    head = ["Task", "Category", "Metric", "chance", "ceiling", *table.models.values()]
    for size in table.sizes:
        rows = []
        for row in table.at_size(size):
            scores = [format_score(row[c]) for c in ("chance", "ceiling", *table.models)]
            rows.append([*_names(row), labels.metric_label(row["metric"]), *scores])
        blocks += [f"#### {size}", markdown_table(head, rows, text_columns=3)]
    return "\n\n".join(blocks) + "\n"


def latex(table: TasksTable) -> str:
    """One LaTeX table (booktabs, graphicx) per size."""
    columns = ["chance", "ceiling", *table.models]
    titles = ["chance", "ceiling", *table.models.values()]
    head = ["task & category & " + " & ".join(map(escape, titles)) + r" \\"]
    tables = []
    for size in table.sizes:
        parts = []
        for role in ROLES:
            span = rf"\multicolumn{{{2 + len(columns)}}}{{l}}"
            lines = [rf"{span}{{\emph{{{labels.role_label(role)}}}}} \\"]
            for row in table.at_size(size, role):
                cells = [*map(escape, _names(row)), *(format_score(row[c]) for c in columns)]
                lines.append(" & ".join(cells) + r" \\")
            if len(lines) > 1:
                parts.append("\n".join(lines))
        body = [f"\n{chr(92)}midrule\n".join(parts)]
        caption = f"All tasks at size {size}. {NOTE}"
        tables.append(
            latex_table(f"tasks-{size}", caption, f"ll*{{{len(columns)}}}{{c}}", head, body)
        )
    return "\n".join(tables)


def _names(row: dict) -> list[str]:
    """A task's title and its category."""
    return [row["title"] or row["task"], labels.category_label(row["category"])]
