"""Small pieces of HTML the sections of the report are put together from; all text is escaped."""

import html


class Markup(str):
    """Text that is HTML already and must not be escaped again."""


def escaped(value) -> str:
    """`value` as HTML text; Markup is passed on as it is."""
    return value if isinstance(value, Markup) else html.escape(str(value))


def whole_number(value) -> str:
    """An integer with separators between thousands; empty for a missing value."""
    import pandas as pd

    return "" if pd.isna(value) else f"{int(value):,}"


def paragraph(text, kind="") -> Markup:
    """A paragraph, with the CSS class `kind` if given."""
    attribute = f' class="{kind}"' if kind else ""
    return Markup(f"<p{attribute}>{escaped(text)}</p>")


def table(head, rows, *, numeric_from=1, kind="") -> Markup:
    """A table that scrolls sideways by itself on a narrow screen.

    `head` is a list of column titles, or Markup holding whole <tr> rows. A cell is text, Markup,
    or a pair (text, attributes of the <td>). Columns from `numeric_from` on are right-aligned;
    `kind` is a CSS class.
    """
    if not isinstance(head, Markup):
        titles = "".join(
            f'<th scope="col"{_aligned(i, numeric_from)}>{escaped(title)}</th>'
            for i, title in enumerate(head)
        )
        head = Markup(f"<tr>{titles}</tr>") if any(head) else ""
    body = []
    for row in rows:
        if isinstance(row, Markup):
            body.append(row)
            continue
        cells = []
        for i, cell in enumerate(row):
            text, attributes = cell if isinstance(cell, tuple) else (cell, "")
            if i == 0:
                cells.append(f'<th scope="row">{escaped(text)}</th>')
            else:
                cells.append(f"<td{_aligned(i, numeric_from)}{attributes}>{escaped(text)}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    attribute = f' class="{kind}"' if kind else ""
    return Markup(
        f'<div class="wide"><table{attribute}><thead>{head}</thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _aligned(column: int, numeric_from: int) -> str:
    return ' class="n"' if column >= numeric_from else ""


def details(summary, inside, *, is_open=False) -> Markup:
    """A part that can be folded."""
    state = " open" if is_open else ""
    return Markup(f"<details{state}><summary>{escaped(summary)}</summary>{inside}</details>")


def section(name: str, title: str, *parts) -> Markup:
    """A section with a heading; `name` is what the table of contents links to."""
    inside = "\n".join(str(part) for part in parts if part)
    return Markup(f'<section id="{name}"><h2>{escaped(title)}</h2>\n{inside}\n</section>')
