"""The phrases that error messages are made of: values, lists of names, and "did you mean"."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_MAX_VALUE_LENGTH = 60


def format_value(value: Any) -> str:
    """Write a value as a YAML file would have it, cut short when it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_VALUE_LENGTH else text[: _MAX_VALUE_LENGTH - 3] + "..."


def join_names(names: Iterable[Any]) -> str:
    """Join names for the end of a sentence; `none` if there are none."""
    return ", ".join(str(name) for name in names) or "none"


def closest(name: Any, allowed: Iterable[Any]) -> str | None:
    """The allowed name that `name` probably means, in any letter case; None if none is close."""
    import difflib

    folded = {str(entry).casefold(): str(entry) for entry in reversed([*allowed])}
    matches = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def did_you_mean(name: Any, allowed: Iterable[Any]) -> str:
    """`; did you mean ties?`, to follow "... is not a method"; empty if no name is close."""
    match = closest(name, allowed)
    return f"; did you mean {match}?" if match else ""


def suggest(name: Any, allowed: Iterable[Any]) -> str:
    """`did you mean ties? allowed: averaging, ties`; only the list if no name is close."""
    allowed = [*allowed]
    match = closest(name, allowed)
    hint = f"did you mean {match}? " if match else ""
    return f"{hint}allowed: {join_names(allowed)}"
