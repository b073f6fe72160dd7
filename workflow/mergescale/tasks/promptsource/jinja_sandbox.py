"""The Jinja environment of promptsource's templates: a deterministic sandbox with its filters."""

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
# Replaces the separator in a row's own text until the rendered text has been split.
_PROTECTED = "\ue000\ue001\ue000"
# The template variable with the random numbers and the step counter of a rendering.
DRAWS = "_draws"
# Limits of one rendering: loop iterations and calls, and characters or digits that one `*` or `**`
# may create. They are far above what any prompt needs.
MAX_STEPS, MAX_CHARACTERS = 1_000_000, 10_000_000
_COUNT = "_count"


class _Environment(SandboxedEnvironment):
    """A sandbox in which no template runs for ever or fills the memory."""

    intercepted_binops = frozenset(["*", "**"])

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        for loop in list(parsed.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, _COUNT, [], [], None, None, lineno=loop.lineno)
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
        if size > MAX_CHARACTERS:
            raise TemplateRuntimeError(f"{operator} creates more than {MAX_CHARACTERS} characters")
        return super().call_binop(context, operator, left, right)


@cache
def environment() -> SandboxedEnvironment:
    """The environment of all templates, without access to Python's internals or to files."""
    sandbox = _Environment()
    sandbox.globals["zip"] = zip
    del sandbox.globals["lipsum"]  # random text
    sandbox.filters |= {
        "choice": _choice,
        "random": _choice,
        "most_frequent": _most_frequent,
        _COUNT: _count_steps,
        "highlight": str,  # only affects promptsource's web page
    }
    return sandbox


def protect(value: Any) -> Any:
    """A copy of a row's value with the separator replaced in all of its texts."""
    if isinstance(value, str):
        return value.replace(SEPARATOR, _PROTECTED)
    if isinstance(value, dict):
        return {key: protect(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [protect(entry) for entry in value]
    return value


def split_parts(text: str) -> list[str]:
    """Split a rendered text at the separator, and strip the parts; they stay protected."""
    return [part.strip() for part in text.split(SEPARATOR)]


def unprotect(text: str) -> str:
    """A text with the separators of its row restored."""
    return text.replace(_PROTECTED, SEPARATOR)


class Draws:
    """Random numbers and step counter of one rendering.

    Args:
        seed: returns the seed; called only if the template uses random numbers.
    """

    def __init__(self, seed: Callable[[], str]) -> None:
        self._seed = seed
        self._random: random.Random | None = None
        self._steps = 0

    def choose(self, items: Sequence[Any]) -> Any:
        """A random item."""
        self._random = self._random or random.Random(self._seed())
        return self._random.choice(items)

    def step(self, steps: int) -> None:
        """Count loop iterations and calls.

        Raises:
            TemplateRuntimeError: there are too many.
        """
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise TemplateRuntimeError(f"its loops take more than {MAX_STEPS} steps")


@pass_context
def _count_steps(context: Context, items: Any) -> list[Any]:
    """The items of a loop, counted as steps."""
    loop_items = list(items)
    context[DRAWS].step(len(loop_items))
    return loop_items


# The context keeps Jinja from evaluating the filter once, at compile time, for all rows.
@pass_context
def _choice(context: Context, items: Sequence[Any]) -> Any:
    return context[DRAWS].choose(items)


def _most_frequent(items: Sequence[Any]) -> list[Any] | None:
    """The most frequent items, in order of first occurrence."""
    if not items:
        return None
    counts = Counter(items)
    most = max(counts.values())
    return [item for item, count in counts.items() if count == most]
