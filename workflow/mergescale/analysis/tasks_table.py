"""The table of all tasks: chance and ceiling beside what each kind of model scores, per size.

A held-in task's expert is the one of its category. A held-out task has no expert of its own: its
entry is the mean over all experts of that size and base.
"""

from dataclasses import dataclass
from pathlib import Path

from mergescale.analysis import labels
from mergescale.analysis import tidy_tables as records
from mergescale.analysis.tables import escape
from mergescale.analysis.tidy_tables import HELD_IN, HELD_OUT
from mergescale.analysis.writing import replace_text

MODELS = ("base", "expert", "multitask")


@dataclass(frozen=True)
class TasksTable:
    """`rows`: one row a size and task; `models`: the score columns and their titles, in order."""

    rows: object
    sizes: list
    models: dict

    @property
    def columns(self) -> dict:
        """The columns of tasks.csv and their kinds."""
        scores = dict.fromkeys(self.models, "number")
        return {"size": "text", **records.TASKS, **scores}

    def of_size(self, size):
        """The rows of one size."""
        return self.rows[self.rows["size"] == size]


def build(scores, tasks, sizes=None) -> TasksTable:
    """Join the scores of bases, experts and multitask models (SCORES) to `tasks` (TASKS).

    Rows follow `sizes`, then held-in before held-out, then the order of `tasks`.
    """
    sizes = list(sizes or records.appearance(scores["size"]))
    bases = records.appearance(scores["base"], first=records.BASES)
    foreign = (
        (scores["model"] == "expert")
        & (scores["role"] == HELD_IN)
        & (scores["expert"] != scores["category"])
    )
    single = scores[scores["model"].isin(MODELS) & ~foreign]
    means = single.groupby(["size", "task", "model", "base"], sort=False)["score"].mean()
    wide = means.unstack(["model", "base"])
    models = {
        f"{model}_{base}": f"{labels.base(base)} {model}" for model in MODELS for base in bases
    }
    wide = wide.reindex(columns=[(model, base) for model in MODELS for base in bases])
    wide.columns = list(models)
    rows = tasks.merge(wide.reset_index(), on="task", how="inner", validate="one_to_many")
    rows = rows[rows["size"].isin(sizes)]
    orders = {
        "size": sizes,
        "role": records.ROLES,
        "category": records.appearance(tasks["category"]),
        "task": list(tasks["task"]),
    }
    rows = records.sort(rows, ["size", "role", "category", "task"], orders)
    return TasksTable(rows, sizes, models)


def number(value) -> str:
    """A score with two decimals; empty when there is none."""
    return "" if value != value else f"{value:.2f}"


def markdown(table: TasksTable) -> str:
    """One Markdown table per size."""
    head = ["task", "category", "metric", "chance", "ceiling", *table.models.values()]
    lines = ["### All tasks", "", f"{NOTE}", ""]
    for size in table.sizes:
        lines += [f"#### {size}", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        for row in table.of_size(size).to_dict("records"):
            scores = [number(row[c]) for c in ("chance", "ceiling", *table.models)]
            names = [row["title"] or row["task"], labels.plain(row["category"])]
            cells = [*names, labels.plain(row["metric"]), *scores]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


NOTE = (
    "Scores on test rows. A held-out task has no expert of its own; its expert columns are the "
    "mean over all experts."
)


def latex(table: TasksTable) -> str:
    """One LaTeX table (booktabs, graphicx) per size."""
    columns = ["chance", "ceiling", *table.models]
    titles = ["chance", "ceiling", *table.models.values()]
    blocks = [r"% Needs \usepackage{booktabs,graphicx}."]
    for size in table.sizes:
        body = []
        rows = table.of_size(size)
        for role in records.ROLES:
            part = rows[rows["role"] == role]
            if part.empty:
                continue
            span = rf"\multicolumn{{{2 + len(columns)}}}{{l}}"
            body.append(rf"{span}{{\emph{{{labels.role(role)}}}}} \\")
            for row in part.to_dict("records"):
                names = [row["title"] or row["task"], labels.plain(row["category"])]
                cells = [*map(escape, names), *(number(row[c]) for c in columns)]
                body.append(" & ".join(cells) + r" \\")
            if role == HELD_OUT:
                continue
            body.append(r"\midrule")
        if body and body[-1] == r"\midrule":
            body.pop()
        blocks.append(
            "\n".join(
                [
                    r"\begin{table}",
                    r"\centering",
                    rf"\caption{{All tasks at size {escape(size)}. {escape(NOTE)}}}",
                    rf"\label{{tab:tasks-{size}}}",
                    r"\resizebox{\linewidth}{!}{%",
                    rf"\begin{{tabular}}{{ll*{{{len(columns)}}}{{c}}}}",
                    r"\toprule",
                    "task & category & " + " & ".join(map(escape, titles)) + r" \\",
                    r"\midrule",
                    *body,
                    r"\bottomrule",
                    r"\end{tabular}}",
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(blocks) + "\n"


def write(scores_csv, tasks_csv, outdir, sizes=None) -> None:
    """Write tasks.csv, tasks.md and tasks.tex into `outdir`."""
    scores = records.read(scores_csv, records.SCORES)
    tasks = records.read(tasks_csv, records.TASKS)
    table = build(scores, tasks, sizes)
    records.write(table.rows, Path(outdir) / "tasks.csv", table.columns)
    replace_text(Path(outdir) / "tasks.md", markdown(table))
    replace_text(Path(outdir) / "tasks.tex", latex(table))
