"""Types of columns as the hub has them, nested ones too, and what is said of a value of another.

A type is `TEXT`, `WHOLE`, `TEXT_OR_NULL`, a list with one type (`[TEXT]`), or a mapping of the keys
that are needed to their types (`{"text": [TEXT]}`); a value may have further keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

TEXT = "text"
WHOLE = "a whole number"
TEXT_OR_NULL = "text or null"

Type = str | list | Mapping[str, Any]


def mismatch(value: Any, wanted: Type) -> str | None:
    """Say what is wrong with a value, or None if it is of the type."""
    if isinstance(wanted, str):
        fits = (
            isinstance(value, str) or (wanted == TEXT_OR_NULL and value is None)
            if wanted != WHOLE
            else type(value) is int
        )
        return None if fits else f"is {kind_of(value)}, not {wanted}"
    if isinstance(wanted, list):
        if not isinstance(value, list):
            return f"is {kind_of(value)}, not a list"
        for number, entry in enumerate(value, start=1):
            if fault := mismatch(entry, wanted[0]):
                return f"holds an entry (number {number}) that {fault}"
        return None
    if not isinstance(value, Mapping):
        return f"is {kind_of(value)}, not an object with {', '.join(wanted)}"
    for key, inner in wanted.items():
        if key not in value:
            return f"lacks the key {key!r}"
        if fault := mismatch(value[key], inner):
            return f"has a {key!r} that {fault}"
    return None


def kind_of(value: Any) -> str:
    """A value's type in words."""
    words = {str: "text", bool: "a boolean", int: WHOLE, float: "a fraction", list: "a list"}
    if value is None:
        return "null"
    return words.get(type(value), "an object" if isinstance(value, Mapping) else "of another type")


def texts_in(value: Any) -> Iterator[str]:
    """All texts in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from texts_in(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from texts_in(entry)


def written(wanted: Type) -> str:
    """A type in words, for error messages and documentation."""
    if isinstance(wanted, str):
        return wanted
    if isinstance(wanted, list):
        return f"list of {written(wanted[0])}"
    return "object of " + ", ".join(f"{key} ({written(inner)})" for key, inner in wanted.items())
