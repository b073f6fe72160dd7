"""Renders a template of promptsource: from a row to a prompt with its answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateSyntaxError, meta

from mergescale.tasks.promptsource import jinja_sandbox

_CHOICES = "answer_choices"


@dataclass(frozen=True)
class Rendered:
    """A rendered row.

    Attributes:
        input: the prompt.
        targets: the right answers.
        choices: all answers to choose from; empty for free answers.
    """

    input: str
    targets: tuple[str, ...]
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class PromptsourceTemplate:
    """A template of a dataset.

    Attributes:
        name: unique within the dataset.
        id: promptsource's identifier, unique over all datasets.
        jinja: prompt and answers, split at `|||` after rendering.
        answer_choices: Jinja for the choices, split at `|||`; None for free answers.
        metrics: promptsource's names, e.g. `Accuracy`, `ROUGE`.
        original_task: whether it is the dataset's original task.
        choices_in_prompt: whether the prompt lists the choices.
        file: its file, for messages.

    Raises:
        ValueError: the Jinja has a syntax error or no `|||`.
    """

    name: str
    id: str
    jinja: str
    answer_choices: str | None = None
    metrics: tuple[str, ...] = ()
    original_task: bool = False
    choices_in_prompt: bool = False
    file: Path | None = None

    def __post_init__(self) -> None:
        if jinja_sandbox.SEPARATOR not in self.jinja:
            raise self._fault("jinja has no |||; write the prompt, ||| and the answer")
        for field in ("jinja", _CHOICES):
            try:
                environment = jinja_sandbox.environment()
                environment.compile(environment.parse(getattr(self, field) or ""))
            except TemplateSyntaxError as error:
                raise self._fault(
                    f"line {error.lineno} of {field} is not valid Jinja ({error.message}); "
                    f"correct it there"
                ) from None
            except RecursionError:
                raise self._fault(f"{field} is nested too deep; write it flat") from None

    def render(self, row: Mapping[str, Any]) -> Rendered | None:
        """Render a row.

        As in promptsource, each part is stripped, and `|||` in the row's own text does not split
        it. Random filters (`choice`) give the same result for the same row and template.

        Args:
            row: the columns of the hub's dataset.

        Returns:
            Prompt, answers and choices; None where the template leaves the prompt or all answers
            empty, which is how templates skip rows that they do not fit and rows without a label.

        Raises:
            ValueError: the row lacks a column, the template fails on it, or an answer is not among
                the choices although the template is the dataset's original task. In other tasks,
                such an answer is a free one, without choices.
        """
        for column in self._columns:
            if column not in row:
                raise self._fault(
                    f"it uses the column {column!r}, which the row does not have (it has "
                    f"{', '.join(map(str, row)) or 'none'}); rename the column or drop the template"
                )
        if _CHOICES in row:
            raise self._fault(
                f"the row has a column {_CHOICES!r}, a name templates need; rename it"
            )
        values = {key: jinja_sandbox.protect(value) for key, value in row.items()}
        choices = None
        if self.answer_choices is not None:
            choices = jinja_sandbox.split_parts(self._fill(_CHOICES, values, row))
        prompt, *answers = jinja_sandbox.split_parts(
            self._fill("jinja", {**values, _CHOICES: choices}, row)
        )
        targets = tuple(jinja_sandbox.unprotect(answer) for answer in answers if answer)
        if not prompt or not targets:
            return None
        shown = tuple(jinja_sandbox.unprotect(choice) for choice in choices or ())
        wrong = [target for target in targets if shown and target not in shown]
        if wrong and self.original_task:
            raise self._fault(
                f"the answer {wrong[0]!r} is not one of the choices {list(shown)}; correct jinja "
                f"or answer_choices, or drop the template"
            )
        # IMDB's "Negation template", for one, uses its choices as words of a longer answer.
        return Rendered(jinja_sandbox.unprotect(prompt), targets, () if wrong else shown)

    def _fill(self, field: str, values: dict[str, Any], row: Mapping[str, Any]) -> str:
        def seed() -> str:
            return f"{self.id}/{self.name}/{json.dumps(dict(row), sort_keys=True, default=str)}"

        try:
            return self._compiled[field].render(
                {**values, jinja_sandbox.DRAWS: jinja_sandbox.Draws(seed)}
            )
        # A template may run any expression, so that any type of error can occur.
        except Exception as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise self._fault(
                f"{field} fails on the row with columns {', '.join(map(str, row))} ({what}); "
                f"correct it or drop the template"
            ) from None

    @cached_property
    def _compiled(self) -> dict[str, Template]:
        environment = jinja_sandbox.environment()
        return {
            field: environment.from_string(text)
            for field, text in (("jinja", self.jinja), (_CHOICES, self.answer_choices))
            if text is not None
        }

    @cached_property
    def _columns(self) -> list[str]:
        """The columns that the template uses, sorted."""
        environment = jinja_sandbox.environment()
        named: set[str] = set()
        for text in (self.jinja, self.answer_choices or ""):
            named |= meta.find_undeclared_variables(environment.parse(text))
        return sorted(named - {_CHOICES} - set(environment.globals))

    def _fault(self, problem: str) -> ValueError:
        location = f"{self.file}, " if self.file else ""
        return ValueError(f"{location}template {self.name!r}: {problem}")
