"""The Jinja dialect of promptsource: its filters and globals, in a sandbox, and never at random."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

# Splits prompt and answers, and answer choices.
SEPARATOR = "|||"
# Stands for the separator inside a row's own text, until what was rendered has been split.
_PROTECTED = "\ue000\ue001\ue000"
# What the filter `choice` draws with, among the variables of a template.
DRAWS = "_draws"


@cache
def environment() -> SandboxedEnvironment:
    """The environment of all templates; they can neither reach Python's internals nor files."""
    found = SandboxedEnvironment()
    found.globals["zip"] = zip
    del found.globals["lipsum"]  # random text
    found.filters |= {
        "choice": _choice,
        "random": _choice,
        "most_frequent": _most_frequent,
        "highlight": str,  # colours promptsource's web page only
    }
    return found


def protected(value: Any) -> Any:
    """A copy of a row's value with the separator masked in all its texts."""
    if isinstance(value, str):
        return value.replace(SEPARATOR, _PROTECTED)
    if isinstance(value, dict):
        return {key: protected(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [protected(entry) for entry in value]
    return value


def parts(text: str) -> list[str]:
    """Split at the separator, without the blanks around each part; the text stays protected."""
    return [part.strip() for part in text.split(SEPARATOR)]


def unprotected(text: str) -> str:
    """The text with the separators that its row had."""
    return text.replace(_PROTECTED, SEPARATOR)


class Draws:
    """Random numbers of one rendering; `seed` is called only if a template draws."""

    def __init__(self, seed: Callable[[], str]) -> None:
        self._seed = seed
        self._random: random.Random | None = None

    def choose(self, items: Sequence[Any]) -> Any:
        self._random = self._random or random.Random(self._seed())
        return self._random.choice(items)


# With the context, Jinja does not evaluate the filter once for all rows when it compiles.
@pass_context
def _choice(context: Context, items: Sequence[Any]) -> Any:
    return context[DRAWS].choose(items)


def _most_frequent(items: Sequence[Any]) -> list[Any] | None:
    """All items that occur as often as the most frequent one, in order of first occurrence."""
    if not items:
        return None
    counts = Counter(items)
    most = max(counts.values())
    return [item for item, count in counts.items() if count == most]
