"""Tables 1-4: methods by sizes and counts, the spread of the draws beside each number."""

from dataclasses import dataclass
from pathlib import Path

from mergescale.analysis import labels
from mergescale.analysis import tidy_tables as records
from mergescale.analysis.tidy_tables import HELD_IN, HELD_OUT, MULTITASK
from mergescale.analysis.writing import replace_text

# The paper's order: the tables of the instruction-tuned bases come first.
TABLES = {
    "table1": ("it", HELD_IN),
    "table2": ("it", HELD_OUT),
    "table3": ("pt", HELD_IN),
    "table4": ("pt", HELD_OUT),
}
COLUMNS = {
    name: records.PERFORMANCE[name]
    for name in (
        "base",
        "role",
        "method",
        "size",
        "count",
        "mean",
        "spread_low",
        "spread_high",
        "std",
        "draws",
    )
}


@dataclass(frozen=True)
class Table:
    """One of Tables 1-4; `rows` is a DataFrame with the columns COLUMNS."""

    name: str
    base: str
    role: str
    methods: list
    sizes: list
    counts: list
    rows: object

    @property
    def title(self) -> str:
        number = self.name.removeprefix("table")
        return f"Table {number}: {labels.base(self.base)} bases, {labels.role(self.role)} tasks"

    def cell(self, method, size, count):
        """The performance row of a cell as a named tuple, or None where there is no number."""
        rows = self.rows
        match = rows[
            (rows["method"] == method) & (rows["size"] == size) & (rows["count"] == count)
        ].dropna(subset=["mean"])
        return next(match.itertuples(), None)


def build(performance, name: str, sizes=None, methods=None) -> Table:
    """Cut one of Tables 1-4 out of `performance` (columns PERFORMANCE).

    `sizes` and `methods` give the order; without them it is the order of appearance. Multitask is
    always the last row. Methods the file holds beyond the list are not dropped.
    """
    base, role = TABLES[name]
    sizes = sizes or records.appearance(performance["size"])
    listed = [method for method in methods or () if method != MULTITASK]
    methods = records.appearance(performance["method"], first=listed, last=(MULTITASK,))
    counts = sorted(int(count) for count in performance["count"].dropna().unique())
    chosen = (performance["base"] == base) & (performance["role"] == role)
    rows = performance[chosen & performance["size"].isin(sizes)]
    orders = {"size": sizes, "method": methods}
    rows = records.sort(rows, ["method", "size", "count"], orders)[list(COLUMNS)]
    return Table(name, base, role, methods, list(sizes), counts, rows)


def number_and_spread(cell, dash="-") -> tuple[str, str]:
    """A cell as two strings: "0.87" and "0.83-0.90" (empty for a single draw)."""
    if cell is None:
        return "", ""
    several = cell.draws > 1
    spread = f"{cell.spread_low:.2f}{dash}{cell.spread_high:.2f}" if several else ""
    return f"{cell.mean:.2f}", spread


def _text(cell) -> str:
    number, spread = number_and_spread(cell)
    return f"{number} ({spread})" if spread else number


def markdown(table: Table) -> str:
    """The table in Markdown: a heading, then a column per size and count."""
    columns = [(size, count) for size in table.sizes for count in table.counts]
    lines = [f"### {table.title}", "", explanation(table), ""]
    lines.append("| method | " + " | ".join(f"{size}, n={n}" for size, n in columns) + " |")
    lines.append("|---|" + "---|" * len(columns))
    for method in table.methods:
        cells = " | ".join(_text(table.cell(method, *column)) for column in columns)
        lines.append(f"| {labels.method(method)} | {cells} |")
    return "\n".join(lines) + "\n"


def explanation(table: Table) -> str:
    """One sentence on what the numbers are."""
    reference = "the matching expert's" if table.role == HELD_IN else "the base model's"
    return (
        f"Score over {reference} score; mean over the draws of n constituents, in parentheses the "
        "lowest and the highest draw."
    )


def latex(table: Table) -> str:
    r"""The table in LaTeX (booktabs, graphicx), a \multicolumn header per size."""
    width = len(table.counts)
    sizes = " & ".join(rf"\multicolumn{{{width}}}{{c}}{{{escape(size)}}}" for size in table.sizes)
    rules = " ".join(
        rf"\cmidrule(lr){{{2 + i * width}-{1 + (i + 1) * width}}}" for i in range(len(table.sizes))
    )
    counts = " & ".join(str(count) for _ in table.sizes for count in table.counts)
    body = []
    for method in table.methods:
        cells = []
        for size in table.sizes:
            for count in table.counts:
                number, spread = number_and_spread(table.cell(method, size, count), dash="--")
                cells.append(rf"{number} {{\scriptsize({spread})}}" if spread else number)
        if method == MULTITASK:
            body.append(r"\midrule")
        body.append(f"{escape(labels.method(method))} & " + " & ".join(cells) + r" \\")
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}.",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title.partition(': ')[2])}. {escape(explanation(table))}}}",
        rf"\label{{tab:{table.name}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{l*{{{width * len(table.sizes)}}}{{c}}}}",
        r"\toprule",
        rf" & {sizes} \\",
        rules,
        rf"constituents & {counts} \\",
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


def write(performance_csv, outdir, sizes=None, methods=None) -> None:
    """Write table1..table4 as .csv (tidy, with the spread), .md and .tex into `outdir`."""
    performance = records.read(performance_csv, records.PERFORMANCE)
    for name in TABLES:
        table = build(performance, name, sizes, methods)
        records.write(table.rows, Path(outdir) / f"{name}.csv", COLUMNS)
        replace_text(Path(outdir) / f"{name}.md", markdown(table))
        replace_text(Path(outdir) / f"{name}.tex", latex(table))
