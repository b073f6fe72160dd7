"""What the study is, and where its numbers come from: study.json as definition lists and tables."""

from mergescale.analysis import labels
from mergescale.provenance.digests import file_digest
from mergescale.report.elements import Markup, escaped, paragraph, section, table

# Keys with a place of their own; every other key is a key fact.
PLACED = ("title", "name", "description", "provenance")


def about(study: dict) -> Markup:
    """The first section: every key of study.json that has no place of its own, in its order."""
    facts = {key: value for key, value in study.items() if key not in PLACED}
    description = paragraph(study["description"]) if study.get("description") else ""
    return section("study", "What this study is", description, _facts(facts))


def provenance(study: dict, files: dict) -> Markup:
    """study.json's "provenance", and a digest of each file this page was made from."""
    digests = [(name, file_digest(path)) for name, path in files.items()]
    given = study.get("provenance")
    given = {"": given} if given and not isinstance(given, dict) else given
    return section(
        "provenance",
        "Provenance",
        _facts(given) if given else "",
        paragraph("This page was made from files with these contents:"),
        table(
            ["file", "SHA-256"],
            [(name, Markup(f"<code>{d}</code>")) for name, d in digests],
            numeric_from=9,
        ),
    )


def _facts(facts: dict) -> Markup:
    entries = "".join(
        f"<dt>{escaped(labels.plain(str(key)))}</dt><dd>{_value(value)}</dd>"
        for key, value in facts.items()
    )
    return Markup(f"<dl>{entries}</dl>")


def _value(value) -> str:
    """A JSON value of any shape, as compactly as it allows."""
    if isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values()):
        return _records([{"": key, **record} for key, record in value.items()])
    if isinstance(value, dict):
        return (
            table(["", ""], [(labels.plain(str(k)), _text(v)) for k, v in value.items()])
            if value
            else ""
        )
    if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        return _records(value)
    return escaped(_text(value))


def _records(rows: list) -> Markup:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    titles = [labels.plain(str(column)) for column in columns]
    return table(titles, [[_text(row.get(column, "")) for column in columns] for row in rows])


def _text(value) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(one)}" for key, one in value.items())
    return str(value)
