"""What a file under `datasets/` declares: where a dataset's rows are, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mergescale.tasks.public.columns import Type, texts_in
from mergescale.tasks.task import SPLITS

# The branch on which the hub keeps every dataset as parquet; most of the study's datasets are
# scripts on the main branch, which can no longer be run.
PARQUET = "refs/convert/parquet"
LABEL = "label"
HIDDEN_LABEL = -1


@dataclass(frozen=True)
class Hub:
    """A dataset on the Hugging Face hub.

    Attributes:
        repo: e.g. `nyu-mll/glue`.
        config: its configuration (subset), e.g. `mrpc`.
        revision: commit or branch that holds the rows as parquet.
        splits: the hub's splits that play train, validation and test; one that is not there is left
            out. Where neither test nor validation is, train gives both.
    """

    repo: str
    config: str = "default"
    revision: str = PARQUET
    splits: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {split: (split,) for split in SPLITS}
    )


@dataclass(frozen=True)
class Template:
    """One way of asking, as format strings over a row's fields.

    Attributes:
        name: stable name; results are recorded by it.
        prompt: the question. What matters stands at its end: long prompts lose their beginning.
        choices: the answer that stands for label 0, for label 1, and so on; empty where the row
            brings its choices, and for generation.
    """

    name: str
    prompt: str
    choices: tuple[str, ...] = ()


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in row.items() if isinstance(value, str)}


@dataclass(frozen=True)
class Dataset:
    """A dataset in the hub's columns.

    `fields`, `gold` and `choices` are given a row's columns, texts without blanks around them. They
    raise a ValueError that names the column, and says what to do, on what they cannot use.

    Attributes:
        name: name of the task.
        title: the dataset's own name.
        describe: one sentence for the documentation.
        kind: `rank` or `generate`.
        metric: name of a metric of `mergescale.evaluation.metrics`.
        hub: where the hub has it.
        folder: name of its folder below a folder of rows.
        columns: the columns that are needed, with their types.
        identity: columns that make a row what it is: rows that agree in them are one. Their texts
            are never blank.
        templates: the project's own ways of asking.
        promptsource: its templates' folder in promptsource.
        labels: the hub's names of the labels 0, 1, ... of the column `label`, if it has one.
        fields: what templates may name; by default the text columns.
        gold: the number of the right choice, or the accepted answers; None where it is hidden. By
            default the label.
        choices: the choices that a row brings, where templates have none of their own.
        together: columns whose rows stay on one side when train gives validation rows, such as the
            text that several questions are about; by default each row goes its own way.
        compared: the texts of a row that near-duplicates are found by; by default each column of
            the identity is one.
        strata: a column whose values take equal shares of the rows that are drawn. Where the hub
            has a split for each value (`test_r1`), the column is made of the end of their names.
    """

    name: str
    title: str
    describe: str
    kind: str
    metric: str
    hub: Hub
    folder: str
    columns: Mapping[str, Type]
    identity: tuple[str, ...]
    templates: tuple[Template, ...]
    promptsource: str
    labels: tuple[str, ...] = ()
    fields: Callable[[Mapping[str, Any]], Mapping[str, str]] = _fields
    gold: Callable[[Mapping[str, Any]], int | tuple[str, ...] | None] | None = None
    choices: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None
    together: tuple[str, ...] = ()
    compared: Callable[[Mapping[str, Any]], list[str]] | None = None
    strata: str | None = None

    def __post_init__(self) -> None:
        if self.gold is None and not self.labels:
            raise ValueError(f"dataset {self.name}: it has neither labels nor a gold answer")
        for template in self.templates:
            if self.labels and len(template.choices) != len(self.labels):
                raise ValueError(
                    f"dataset {self.name}, template {template.name}: {len(template.choices)} "
                    f"choices for {len(self.labels)} labels"
                )

    def texts(self, row: Mapping[str, Any]) -> list[str]:
        """The texts that near-duplicates are found by; see `compared`."""
        if self.compared is not None:
            return self.compared(row)
        return [" ".join(texts_in(row[column])) for column in self.identity]

    def answer(self, row: Mapping[str, Any]) -> int | tuple[str, ...] | None:
        """The gold answer of a row, None where it is hidden; see `gold`."""
        if self.gold is not None:
            return self.gold(row)
        return None if row[LABEL] == HIDDEN_LABEL else known_label(row[LABEL], self.labels)


def known_label(label: int, names: tuple[str, ...], column: str = LABEL, first: int = 0) -> int:
    """The place of a label among its names, counted from 0.

    Raises:
        ValueError: there is no such label.
    """
    if not first <= label < first + len(names):
        known = ", ".join(f"{number} ({name})" for number, name in enumerate(names, first))
        raise ValueError(f"column {column!r}: the label {label!r} is unknown; use one of {known}")
    return label - first


def place_of(answer: str, choices: tuple[str, ...], column: str) -> int:
    """The place of an answer among the choices.

    Raises:
        ValueError: it is none of them.
    """
    if answer not in choices:
        raise ValueError(
            f"column {column!r}: the answer {answer!r} is not one of the choices {list(choices)}; "
            f"mend the answer or the choices"
        )
    return choices.index(answer)


def answers(texts: list[str]) -> tuple[str, ...] | None:
    """Accepted answers, each once, without blanks; None where there is none: they are hidden."""
    return tuple(dict.fromkeys(t.strip() for t in texts if t and t.strip())) or None
