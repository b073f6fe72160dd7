"""`Dataset`: what a file under `datasets/` declares, and the types of columns.

A column's type is `TEXT`, `WHOLE`, `TEXT_OR_NULL`, a list with one type (`[TEXT]`), or a mapping of
the required keys to their types (`{"text": [TEXT]}`); a value may have further keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mergescale.tasks.task import SPLITS

TEXT = "text"
WHOLE = "a whole number"
TEXT_OR_NULL = "text or null"
Type = str | list | Mapping[str, Any]

# The branch on which the hub keeps every dataset as parquet. Most of the study's datasets are
# scripts on the main branch, which no current library runs.
PARQUET = "refs/convert/parquet"
LABEL = "label"
HIDDEN_LABEL = -1


@dataclass(frozen=True)
class Hub:
    """A dataset on the Hugging Face hub.

    Attributes:
        repo: repository, e.g. `nyu-mll/glue`.
        config: configuration (subset), e.g. `mrpc`.
        revision: commit or branch that has the rows as parquet.
        splits: the hub's splits that serve as train, validation and test; omit those that do not
            exist. Where both test and validation are omitted, train provides them.
    """

    repo: str
    config: str = "default"
    revision: str = PARQUET
    splits: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {split: (split,) for split in SPLITS}
    )


@dataclass(frozen=True)
class Template:
    """A prompt template: format strings over a row's fields.

    Attributes:
        name: stable name; predictions are recorded under it.
        prompt: the prompt. What matters stands at its end: long prompts lose their beginning.
        choices: the answer for label 0, for label 1, and so on; empty for generation and where each
            row has its own choices.
    """

    name: str
    prompt: str
    choices: tuple[str, ...] = ()


def _text_columns(row: Mapping[str, Any]) -> dict[str, str]:
    """The default fields: all columns that are text."""
    return {key: value for key, value in row.items() if isinstance(value, str)}


@dataclass(frozen=True)
class Dataset:
    """A dataset in the hub's columns.

    The functions `fields`, `label` and `choices` take a row (a mapping of columns to values, texts
    stripped). On a value that they cannot use they raise a ValueError that names the column and the
    fix.

    Attributes:
        name: name of the task, and of the file.
        title: the dataset's own name.
        describe: one sentence for the documentation.
        kind: `rank` or `generate`.
        metric: name of a metric of `mergescale.evaluation.metrics`.
        hub: where the hub has it.
        folder: name of its folder below `tasks.folder`.
        columns: the required columns with their types.
        key_columns: columns that identify a row: rows that agree in them count as one. They must
            not be blank.
        templates: the project's own prompt templates.
        promptsource: folder of its templates in promptsource.
        label_names: the hub's names of the values 0, 1, ... of the column `label`, if it has one.
        fields: what templates may use; by default the text columns.
        label: the index of the right choice, or the accepted answers; None where it is hidden. By
            default the column `label`.
        choices: the choices of a row, for templates without choices of their own.
        group_by: columns whose rows are not divided between train and validation (such as a passage
            with several questions) when train provides the validation rows.
        dedup_text: the texts of a row that are compared for near-duplicates; by default one text
            per key column.
        strata: a column whose values get equal shares of the rows that are taken. Where the hub has
            a split per value (`test_r1`), the column is filled from the split's name.

    Raises:
        ValueError: there is no label, or a template has too few or too many choices.
    """

    name: str
    title: str
    describe: str
    kind: str
    metric: str
    hub: Hub
    folder: str
    columns: Mapping[str, Type]
    key_columns: tuple[str, ...]
    templates: tuple[Template, ...]
    promptsource: str
    label_names: tuple[str, ...] = ()
    fields: Callable[[Mapping[str, Any]], Mapping[str, str]] = _text_columns
    label: Callable[[Mapping[str, Any]], int | tuple[str, ...] | None] | None = None
    choices: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None
    group_by: tuple[str, ...] = ()
    dedup_text: Callable[[Mapping[str, Any]], list[str]] | None = None
    strata: str | None = None

    def __post_init__(self) -> None:
        if self.label is None and not self.label_names:
            raise ValueError(f"dataset {self.name}: give it label_names or a label function")
        for template in self.templates:
            if self.label_names and len(template.choices) != len(self.label_names):
                raise ValueError(
                    f"dataset {self.name}, template {template.name}: {len(template.choices)} "
                    f"choices for {len(self.label_names)} label names"
                )

    def texts(self, row: Mapping[str, Any]) -> list[str]:
        """The texts of a row that are compared for near-duplicates."""
        if self.dedup_text is not None:
            return self.dedup_text(row)
        return [" ".join(texts_in(row[column])) for column in self.key_columns]

    def answer(self, row: Mapping[str, Any]) -> int | tuple[str, ...] | None:
        """The index of the right choice, or the accepted answers; None where it is hidden."""
        if self.label is not None:
            return self.label(row)
        return None if row[LABEL] == HIDDEN_LABEL else label_index(row[LABEL], self.label_names)


def label_index(label: int, names: tuple[str, ...], column: str = LABEL, first: int = 0) -> int:
    """The index of a label among its names, from 0.

    Args:
        label: the value of the column.
        names: names of the labels.
        column: name of the column, for the message.
        first: value of the first label.

    Raises:
        ValueError: there is no such label.
    """
    if not first <= label < first + len(names):
        known = ", ".join(f"{number} ({name})" for number, name in enumerate(names, first))
        raise ValueError(f"column {column!r}: the label {label!r} is unknown; use one of {known}")
    return label - first


def index_of_choice(answer: str, choices: tuple[str, ...], column: str) -> int:
    """The index of an answer among the choices.

    Raises:
        ValueError: it is not one of them.
    """
    if answer not in choices:
        raise ValueError(
            f"column {column!r}: the answer {answer!r} is not one of the choices {list(choices)}; "
            f"correct the answer or the choices"
        )
    return choices.index(answer)


def accepted_answers(texts: list[str]) -> tuple[str, ...] | None:
    """Distinct answers, stripped; None if there is none, which means that they are hidden."""
    return tuple(dict.fromkeys(t.strip() for t in texts if t and t.strip())) or None


def mismatch(value: Any, expected: Type) -> str | None:
    """Why a value does not have the expected type; None if it has."""
    if isinstance(expected, str):
        fits = (
            isinstance(value, str) or (expected == TEXT_OR_NULL and value is None)
            if expected != WHOLE
            else type(value) is int
        )
        return None if fits else f"is {_describe_value(value)}, not {expected}"
    if isinstance(expected, list):
        if not isinstance(value, list):
            return f"is {_describe_value(value)}, not a list"
        for number, entry in enumerate(value, start=1):
            if fault := mismatch(entry, expected[0]):
                return f"has an entry (number {number}) that {fault}"
        return None
    if not isinstance(value, Mapping):
        return f"is {_describe_value(value)}, not an object with {', '.join(expected)}"
    for key, inner in expected.items():
        if key not in value:
            return f"lacks the key {key!r}"
        if fault := mismatch(value[key], inner):
            return f"has a {key!r} that {fault}"
    return None


def _describe_value(value: Any) -> str:
    """The type of a value in words."""
    words = {str: "text", bool: "a boolean", int: WHOLE, float: "a fraction", list: "a list"}
    if value is None:
        return "null"
    return words.get(type(value), "an object" if isinstance(value, Mapping) else "of another type")


def describe_type(expected: Type) -> str:
    """A column's type in words, for messages and documentation."""
    if isinstance(expected, str):
        return expected
    if isinstance(expected, list):
        return f"list of {describe_type(expected[0])}"
    keys = (f"{key} ({describe_type(inner)})" for key, inner in expected.items())
    return "object of " + ", ".join(keys)


def texts_in(value: Any) -> Iterator[str]:
    """All texts in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from texts_in(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from texts_in(entry)
