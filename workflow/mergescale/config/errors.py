"""The one exception of a bad configuration, and the phrases its sentences are made of."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any

LONGEST_VALUE = 60


class ConfigError(ValueError):
    """A configuration that no study can be run with; the message is one sentence for the user."""


def dotted(path: Iterable[Any]) -> str:
    """Write the path of a key as in `merging.methods.ties`; positions in lists are left out."""
    return ".".join(str(part) for part in path if not isinstance(part, int)) or "the configuration"


def shown(value: Any) -> str:
    """Write a value as a YAML file would have it, cut short when it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def listed(names: Iterable[Any]) -> str:
    """Join names for the end of a sentence."""
    return ", ".join(str(name) for name in names) or "none"


def choose(name: Any, allowed: Iterable[Any]) -> str:
    """Say which names are allowed, the closest one first when there is one close enough."""
    allowed = [str(entry) for entry in allowed]
    folded = {entry.casefold(): entry for entry in reversed(allowed)}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.6)
    hint = f"did you mean {folded[close[0]]}? " if close else ""
    return f"{hint}allowed: {listed(allowed)}"
