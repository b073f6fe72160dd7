"""Tables 1-4 and the table of all tasks."""

from pathlib import Path

from mergescale.analysis import labels, tables, tasks_table
from mergescale.analysis import tidy_tables as records
from mergescale.analysis.tidy_tables import HELD_IN, HELD_OUT, ROLES
from mergescale.report.elements import (
    Markup,
    details,
    escaped,
    paragraph,
    section,
    table,
    whole_number,
)
from mergescale.report.figure_section import caption


def read_tables(folder) -> list:
    """Tables 1-4 as written by the tables stage."""
    return [
        tables.build(records.read(Path(folder) / f"{name}.csv", tables.COLUMNS), name)
        for name in tables.TABLES
    ]


def performance_tables(all_tables) -> Markup:
    """Tables 1-4, the spread of the draws below each number."""
    parts = []
    for one in all_tables:
        text = caption(one.name).replace("in parentheses", "below it")
        parts.append(Markup(f'<h3 id="{one.name}">{escaped(one.title)}</h3>'))
        parts.append(paragraph(text, "note"))
        parts.append(_table(one) if len(one.rows) else paragraph("No results.", "note"))
    return section("tables", "Tables 1-4", *parts)


def _table(one) -> Markup:
    sizes = "".join(
        f'<th scope="colgroup" colspan="{len(one.counts)}" class="g">{escaped(size)}</th>'
        for size in one.sizes
    )
    counts = "".join(
        f'<th scope="col" class="n{" g" if i == 0 else ""}">{count}</th>'
        for _ in one.sizes
        for i, count in enumerate(one.counts)
    )
    head = Markup(f"<tr><th>size</th>{sizes}</tr><tr><th>experts merged</th>{counts}</tr>")
    rows = []
    for method in one.methods:
        cells = [labels.method(method)]
        for size in one.sizes:
            for count in one.counts:
                number, spread = tables.number_and_spread(one.cell(method, size, count), "\u2013")
                beside = f"<br><small>{spread}</small>" if spread else ""
                cells.append(Markup(f"{number}{beside}"))
        rows.append(cells)
    return table(head, rows, kind="dense")


def all_tasks(tasks) -> Markup:
    """Every task at every size (a `TasksTable`), coloured by the way from chance to ceiling."""
    blocks = [
        details(f"Size {size}", _tasks_of_size(tasks, size), is_open=size == tasks.sizes[-1])
        for size in reversed(tasks.sizes)
    ]
    legend = Markup(
        '<p class="note">Colour: the share of the way from chance to ceiling '
        + "".join(
            f'<span class="swatch"{_shade(share)}>{share:.0%}</span>'
            for share in (0.0, 0.25, 0.5, 0.75, 1.0)
        )
        + f' and below chance <span class="swatch"{_shade(-0.3)}>below</span>.</p>'
    )
    return section(
        "tasks", "All tasks by size", paragraph(tasks_table.NOTE), _progress(tasks), legend, *blocks
    )


def share(value, chance, ceiling) -> float:
    """How far a score has come from chance (0) to the ceiling (1); negative below chance."""
    return (value - chance) / (ceiling - chance) if ceiling > chance else float("nan")


def beats_chance(value, chance, rows) -> bool:
    """Above chance by more than two standard errors of guessing on `rows` rows."""
    return value > chance + 2 * (max(chance * (1 - chance), 0) / max(rows, 1)) ** 0.5


def _progress(tasks) -> Markup:
    """Is bigger better, and what was learnt: means over tasks, per role, model and size."""
    rows = []
    for role in ROLES:
        for model, title in tasks.models.items():
            cells = [f"{title}, {labels.role(role)}"]
            for size in tasks.sizes:
                part = tasks.of_size(size)
                part = part[part["role"] == role].dropna(subset=[model]).fillna({"rows": 1})
                part = part.to_dict("records")
                shares = [share(row[model], row["chance"], row["ceiling"]) for row in part]
                shares = [one for one in shares if one == one]
                above = sum(beats_chance(r[model], r["chance"], r["rows"]) for r in part)
                mean = sum(shares) / len(shares) if shares else float("nan")
                text = f"{mean:.0%} <small>{above} of {len(part)}</small>" if shares else ""
                cells.append((Markup(text), _shade(mean)))
            rows.append(cells)
    note = paragraph(
        "Is bigger better, and what was learnt? The share of the way from chance to ceiling, mean "
        "over tasks; beside it, how many tasks lie above chance by more than two standard errors "
        "of guessing."
    )
    return Markup(note + table(["", *tasks.sizes], rows))


def _tasks_of_size(tasks, size) -> Markup:
    head = ["task", "category", "metric", "rows", "chance", "ceiling", *tasks.models.values()]
    rows = []
    part = tasks.of_size(size)
    for role in (HELD_IN, HELD_OUT):
        group = part[part["role"] == role].to_dict("records")
        if group:
            title = labels.role(role)
            rows.append(Markup(f'<tr class="band"><th colspan="{len(head)}">{title}</th></tr>'))
        for row in group:
            cells = [
                row["title"] or row["task"],
                labels.plain(row["category"]),
                labels.plain(row["metric"]),
                whole_number(row["rows"]),
                tasks_table.number(row["chance"]),
                tasks_table.number(row["ceiling"]),
            ]
            for model in tasks.models:
                shade = _shade(share(row[model], row["chance"], row["ceiling"]))
                cells.append((tasks_table.number(row[model]), shade))
            rows.append(cells)
    return table(head, rows, numeric_from=3)


def _shade(share: float) -> str:
    """A cell's background: blue the closer to the ceiling, orange below chance, none without."""
    if share != share:
        return ""
    if share < 0:
        return f' style="background:rgba(213,94,0,{min(0.12 - share, 0.5):.2f})"'
    return f' style="background:rgba(0,114,178,{0.05 + 0.45 * min(share, 1.0):.2f})"'
