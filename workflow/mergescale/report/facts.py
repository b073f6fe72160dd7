"""study.json as the facts at the top of the report: a label and a value, or a small table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mergescale.analysis import labels

# Keys with a place of their own; every other key is a fact.
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
