"""The Jinja dialect of promptsource: its filters and globals, in a sandbox, and never at random."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from jinja2 import TemplateRuntimeError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

# Splits prompt and answers, and answer choices.
SEPARATOR = "|||"
# Stands for the separator inside a row's own text, until what was rendered has been split.
_PROTECTED = "\ue000\ue001\ue000"
# What the filter `choice` draws with, among the variables of a template.
DRAWS = "_draws"
# Turns of loops and calls that one rendering may take, and characters or digits that one `*` or
# `**` may make: far more than any prompt needs, few enough to end soon.
MOST_STEPS, MOST_LETTERS = 1_000_000, 10_000_000
_COUNTED = "_counted"


class _Environment(SandboxedEnvironment):
    """A sandbox in which no template runs for ever, or fills the memory."""

    intercepted_binops = frozenset(["*", "**"])

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        for loop in list(parsed.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, _COUNTED, [], [], None, None, lineno=loop.lineno)
        return parsed

    def call(self, context: Context, called: Any, /, *args: Any, **named: Any) -> Any:
        context[DRAWS].step(1)
        return super().call(context, called, *args, **named)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            size = left.bit_length() * right
        elif isinstance(left, int) and not isinstance(right, int | float):
            size = left * len(right)
        elif isinstance(right, int) and not isinstance(left, int | float):
            size = len(left) * right
        else:
            size = 0
        if size > MOST_LETTERS:
            raise TemplateRuntimeError(f"{operator} makes more than {MOST_LETTERS} characters")
        return super().call_binop(context, operator, left, right)


@cache
def environment() -> SandboxedEnvironment:
    """The environment of all templates; they can neither reach Python's internals nor files."""
    found = _Environment()
    found.globals["zip"] = zip
    del found.globals["lipsum"]  # random text
    found.filters |= {
        "choice": _choice,
        "random": _choice,
        "most_frequent": _most_frequent,
        _COUNTED: _counted,
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
    """What one rendering draws and counts; `seed` is called only if a template draws."""

    def __init__(self, seed: Callable[[], str]) -> None:
        self._seed = seed
        self._random: random.Random | None = None
        self._steps = 0

    def choose(self, items: Sequence[Any]) -> Any:
        self._random = self._random or random.Random(self._seed())
        return self._random.choice(items)

    def step(self, steps: int) -> None:
        """Count turns of loops and calls; raises TemplateRuntimeError if there are too many."""
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise TemplateRuntimeError(f"its loops take more than {MOST_STEPS} turns")


@pass_context
def _counted(context: Context, items: Any) -> list[Any]:
    """What a loop goes over, its turns counted."""
    found = list(items)
    context[DRAWS].step(len(found))
    return found


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
