"""Tables 1-4: methods by sizes and counts, with the range of the draws beside each number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mergescale.analysis import labels
from mergescale.analysis.tidy_tables import (
    HELD_IN,
    HELD_OUT,
    MULTITASK,
    PERFORMANCE,
    sort_rows,
    unique_values,
    write_table,
)
from mergescale.provenance.atomic import write_text

if TYPE_CHECKING:
    import pandas as pd

# The paper's order: the tables of the instruction-tuned bases come first.
TABLES = {
    "table1": ("it", HELD_IN),
    "table2": ("it", HELD_OUT),
    "table3": ("pt", HELD_IN),
    "table4": ("pt", HELD_OUT),
}
COLUMNS = {
    name: PERFORMANCE[name]
    for name in (
        *("base", "role", "method", "size", "count"),
        *("mean", "spread_low", "spread_high", "std", "draws"),
    )
}
_KINDS_OF_BASES = {"it": "instruction-tuned", "pt": "pre-trained"}


class Cell(NamedTuple):
    """Normalized performance of a method at a size and count: the mean, and how draws vary."""

    mean: float
    low: float
    high: float
    draws: int

    @property
    def number(self) -> str:
        """The mean with two decimals, such as "0.87"."""
        return f"{self.mean:.2f}"

    def spread(self, dash: str = "-") -> str:
        """The lowest and the highest draw, such as "0.83-0.90".

        Empty where the draws do not differ: for a single draw, for draws of the same experts, and
        for the multitask model on held-out tasks.
        """
        if self.draws < 2 or self.low == self.high:
            return ""
        return f"{self.low:.2f}{dash}{self.high:.2f}"


@dataclass(frozen=True)
class PerformanceTable:
    """One of Tables 1-4; `rows` has the columns COLUMNS, the lists are in the order of display."""

    name: str
    base: str
    role: str
    methods: list[str]
    sizes: list[str]
    counts: list[int]
    rows: pd.DataFrame

    @property
    def title(self) -> str:
        """Such as "Table 1: IT bases, held-in tasks"."""
        return f"Table {self.name.removeprefix('table')}: {self.subject}"

    @property
    def subject(self) -> str:
        """The title without its number."""
        return f"{labels.base_label(self.base)} bases, {labels.role_label(self.role)} tasks"

    @property
    def caption(self) -> str:
        """What the numbers are, in two sentences."""
        kind = _KINDS_OF_BASES.get(self.base, self.base)
        reference = "the matching expert's" if self.role == HELD_IN else "the base model's own"
        return (
            f"Normalized performance on {labels.role_label(self.role)} tasks, {kind} bases: the "
            f"merge's score over {reference}. Mean over the draws of n constituents; in "
            "parentheses the lowest and the highest draw, where they differ."
        )

    def cell(self, method: str, size: str, count: int) -> Cell | None:
        """One cell, or None where the study has no number."""
        rows = self.rows
        match = rows[
            (rows["method"] == method) & (rows["size"] == size) & (rows["count"] == count)
        ].dropna(subset=["mean"])
        for row in match.itertuples():
            return Cell(row.mean, row.spread_low, row.spread_high, row.draws)
        return None


def build_table(
    performance: pd.DataFrame,
    name: str,
    sizes: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
) -> PerformanceTable:
    """Cut one of Tables 1-4 out of a table with the columns PERFORMANCE.

    Args:
        performance: the rows of performance.csv.
        name: a key of TABLES.
        sizes: the sizes to show, in order; by default all, in order of appearance.
        methods: the order of the methods; those beyond the list follow, and Multitask is last.
    """
    base, role = TABLES[name]
    sizes = list(sizes or unique_values(performance["size"]))
    first = [method for method in methods or () if method != MULTITASK]
    methods = unique_values(performance["method"], first=first, last=(MULTITASK,))
    counts = sorted(int(count) for count in performance["count"].dropna().unique())
    selected = (performance["base"] == base) & (performance["role"] == role)
    rows = performance[selected & performance["size"].isin(sizes)]
    orders = {"size": sizes, "method": methods}
    rows = sort_rows(rows, ["method", "size", "count"], orders)[list(COLUMNS)]
    return PerformanceTable(name, base, role, methods, sizes, counts, rows)


def write_tables(
    performance: pd.DataFrame,
    folder: Path,
    sizes: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
) -> None:
    """Write table1 to table4 into `folder`: .csv (tidy), .md, .tex, and the caption as .rst."""
    for name in TABLES:
        table = build_table(performance, name, sizes, methods)
        write_table(table.rows, folder / f"{name}.csv", COLUMNS)
        write_text(folder / f"{name}.md", markdown(table))
        write_text(folder / f"{name}.tex", latex(table))
        write_text(folder / f"{name}.rst", table.caption + "\n")


def markdown(table: PerformanceTable) -> str:
    """The table in Markdown: a block per size, in it a row per method and a column per count."""
    blocks = [f"### {table.title}", table.caption]
    for size in table.sizes:
        rows = []
        for method in table.methods:
            cells = [_markdown_cell(table.cell(method, size, count)) for count in table.counts]
            rows.append([labels.method_label(method), *cells])
        head = ["Method", *(f"n = {count}" for count in table.counts)]
        blocks += [f"#### {size}", markdown_table(head, rows, text_columns=1)]
    return "\n\n".join(blocks) + "\n"


def _markdown_cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{cell.number} ({cell.spread()})" if cell.spread() else cell.number


def markdown_table(head: list[str], rows: list[list[str]], text_columns: int) -> str:
    """A Markdown table whose columns after the first `text_columns` are right-aligned."""
    from tabulate import tabulate

    aligned = ["left"] * text_columns + ["right"] * (len(head) - text_columns)
    return tabulate(rows, head, tablefmt="pipe", disable_numparse=True, colalign=aligned)


def latex(table: PerformanceTable) -> str:
    r"""The table in LaTeX (booktabs, graphicx), a \multicolumn header per size."""
    width = len(table.counts)
    sizes = " & ".join(rf"\multicolumn{{{width}}}{{c}}{{{escape(size)}}}" for size in table.sizes)
    rules = " ".join(
        rf"\cmidrule(lr){{{2 + i * width}-{1 + (i + 1) * width}}}" for i in range(len(table.sizes))
    )
    counts = " & ".join(str(count) for _ in table.sizes for count in table.counts)
    body = []
    for method in table.methods:
        cells = [
            _latex_cell(table.cell(method, size, count))
            for size in table.sizes
            for count in table.counts
        ]
        if method == MULTITASK:
            body.append(r"\midrule")
        body.append(f"{escape(labels.method_label(method))} & " + " & ".join(cells) + r" \\")
    head = [rf" & {sizes} \\", rules, rf"constituents & {counts} \\"]
    return latex_table(
        table.name, table.caption, f"l*{{{width * len(table.sizes)}}}{{c}}", head, body
    )


def _latex_cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    spread = cell.spread("--")
    return rf"{cell.number} {{\scriptsize({spread})}}" if spread else cell.number


def latex_table(name: str, caption: str, columns: str, head: list[str], body: list[str]) -> str:
    r"""A table environment of lines that are LaTeX already; `columns` is that of the tabular."""
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}.",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{tab:{name}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Escape what LaTeX reads as a command."""
    for character in "&%$#_{}":
        text = text.replace(character, "\\" + character)
    return text
