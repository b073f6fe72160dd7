"""Removes from a mixture what models are evaluated on, and records what was removed and why.

There are two filters: tasks whose name is that of a T0 dataset (`t0_datasets`), and rows that share
an n-gram with an evaluation example, whatever their task is called.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mergescale.provenance.atomic import replacing
from mergescale.tasks.example_files import read_examples
from mergescale.tasks.mixtures.readers import Batch
from mergescale.tasks.mixtures.t0_datasets import t0_dataset
from mergescale.tasks.ngram_overlap import NgramIndex
from mergescale.tasks.task import Example

EVALUATION_SPLITS = ("validation", "test")
# An n-gram in this fraction of a template's examples is wording of the template, not content; a
# passage with many questions stays well below. Fewer examples than the second number do not tell.
WORDING_FRACTION, WORDING_MIN_EXAMPLES = 0.5, 8


@dataclass(frozen=True)
class Shared:
    """What a row shares with evaluation: task and id of an example, and the n-gram."""

    task: str
    example: str
    ngram: str


class EvaluationNgrams:
    """The n-grams of evaluation examples, less the wording of their templates.

    Args:
        examples: evaluation examples by task.
        length: number of words of an n-gram.
    """

    def __init__(self, examples: Mapping[str, Iterable[Example]], length: int) -> None:
        self._owners: list[tuple[str, str]] = []
        templates: list[tuple[str, str]] = []
        texts: list[tuple[str, ...]] = []
        for task in sorted(examples):
            for example in examples[task]:
                self._owners.append((task, example.id))
                templates.append((task, example.template))
                texts.append(_distinct_texts(example))
        self._index = NgramIndex(texts, length)
        self._num_too_short = len(self._owners) - len(np.unique(self._index.rows))
        wording = _find_wording(self._index, templates)
        self._num_wording = len(wording)
        self._index.remove(wording)

    def search(self, rows: Sequence[tuple[str, ...]]) -> dict[int, Shared]:
        """Search rows for n-grams of evaluation.

        Args:
            rows: the texts of each row.

        Returns:
            What a row shares, by the position of each row that shares something.
        """
        return {
            row: Shared(*self._owners[overlap.row], overlap.ngram)
            for row, overlap in self._index.search(rows).items()
        }

    def record(self) -> dict[str, Any]:
        """Counts for the record of a mixture."""
        return {
            "ngram": self._index.length,
            "tasks": len({task for task, _ in self._owners}),
            "examples": len(self._owners),
            # Examples of fewer words than an n-gram cannot be found in this way.
            "examples_too_short": self._num_too_short,
            "ngrams": len(np.unique(self._index.hashes)),
            "ngrams_of_wording_left_out": self._num_wording,
        }


def _distinct_texts(example: Example) -> tuple[str, ...]:
    texts = (example.input, example.target, *example.choices, *example.references)
    return tuple(dict.fromkeys(texts))


def _find_wording(index: NgramIndex, templates: Sequence[tuple[str, str]]) -> np.ndarray:
    """Hashes of the n-grams that are wording of a template.

    Args:
        index: the n-grams, with one row per example.
        templates: task and template of each example.
    """
    hashes, rows = index.hashes, index.rows
    if not len(hashes):
        return hashes
    numbers = {template: number for number, template in enumerate(dict.fromkeys(templates))}
    template_of = np.array([numbers[template] for template in templates])
    num_examples = np.bincount(template_of)
    once = np.ones(len(hashes), dtype=bool)  # an example counts once for an n-gram
    once[1:] = (hashes[1:] != hashes[:-1]) | (rows[1:] != rows[:-1])
    hashes, template = hashes[once], template_of[rows[once]]
    order = np.lexsort((template, hashes))
    hashes, template = hashes[order], template[order]
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (template[1:] != template[:-1])
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, len(hashes)))
    size = num_examples[template[starts]]
    common = (size >= WORDING_MIN_EXAMPLES) & (counts >= WORDING_FRACTION * size)
    return np.unique(hashes[starts[common]])


def read_evaluation_ngrams(folders: Sequence[Path], length: int) -> EvaluationNgrams:
    """The n-grams of the validation and test examples of tasks.

    Args:
        folders: folders with a task's files, or with the folders of tasks.
        length: number of words of an n-gram.

    Raises:
        ValueError: a folder has no task files, or one that cannot be read.
    """
    examples: dict[str, list[Example]] = {}
    for folder in folders:
        tasks = sorted(
            {file.parent for file in folder.glob("**/*.parquet") if file.stem in EVALUATION_SPLITS}
        )
        if not tasks:
            raise ValueError(
                f"{folder} has no validation.parquet or test.parquet of a task; write them with "
                f"`mergescale task`, or omit --tasks"
            )
        for task in tasks:
            paths = (task / f"{split}.parquet" for split in EVALUATION_SPLITS)
            examples[task.name] = [
                example for path in paths if path.is_file() for example in _read(path)
            ]
    return EvaluationNgrams(examples, length)


def _read(path: Path) -> list[Example]:
    try:
        examples = read_examples(path)
    except (ValueError, OSError, TypeError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {reason}; write the task again") from None
    for number, example in enumerate(examples, start=1):
        if not all(isinstance(text, str) for text in _distinct_texts(example)):
            raise ValueError(
                f"{path}, row {number}: input, target, choices and references must be text; write "
                f"the task again"
            )
    return examples


@dataclass(frozen=True, order=True)
class Removed:
    """One line of removed.csv: a whole task, or one of its rows.

    Attributes:
        task: name of the task in the mixture's source.
        row: id of the row; empty where the whole task was removed.
        reason: `name` or `overlap`.
        rows: number of rows that this line removed.
        evaluation_task: the T0 dataset of that name, or the task of the evaluation example.
        evaluation_example: id of an example that shares the n-gram.
        ngram: the first n-gram that the row shares with that example.
    """

    task: str
    row: str
    reason: str
    rows: int
    evaluation_task: str
    evaluation_example: str = ""
    ngram: str = ""


class Decontamination:
    """Filters batches and counts what it removes.

    Args:
        ngrams: what rows are compared with; without it, tasks are removed by name only.
    """

    def __init__(self, ngrams: EvaluationNgrams | None = None) -> None:
        self._ngrams = ngrams
        self._read: Counter[str] = Counter()
        self._removed_by_name: Counter[str] = Counter()
        self._overlaps: dict[str, Removed] = {}
        self._num_empty = self._num_repeated = 0
        self._sampled: dict[str, int] = {}

    def filter(self, batch: Batch) -> list[tuple[str, Example]]:
        """The rows of a batch that are not removed."""
        self._num_empty += batch.empty
        rows = []
        for task, example in batch.rows:
            self._read[task] += 1
            if t0_dataset(task):
                self._removed_by_name[task] += 1
            else:
                rows.append((task, example))
        if self._ngrams is None:
            return rows
        overlaps = self._ngrams.search([(example.input, example.target) for _, example in rows])
        for row, shared in overlaps.items():
            task, example = rows[row]
            self._overlaps.setdefault(
                example.id,
                Removed(task, example.id, "overlap", 1, shared.task, shared.example, shared.ngram),
            )
        return [entry for row, entry in enumerate(rows) if row not in overlaps]

    def note_sampled(self, shares: dict[str, int], *, repeated: int) -> None:
        """Note how many rows were sampled of each task, and how many rows repeated another one."""
        self._sampled, self._num_repeated = shares, repeated

    def explain_nothing_left(self) -> str:
        """Why a mixture is empty."""
        if not self._read:
            return "the mixture's source has no rows with text; give it rows"
        return (
            f"all {self._read.total()} rows of the mixture's source were removed, "
            f"{self._removed_by_name.total()} by the names of their tasks and "
            f"{len(self._overlaps)} by n-grams that they share with evaluation; use another source"
        )

    def removed(self) -> list[Removed]:
        """Everything that was removed, by task and row."""
        by_name = [
            Removed(task, "", "name", rows, t0_dataset(task) or "")
            for task, rows in self._removed_by_name.items()
        ]
        return sorted([*by_name, *self._overlaps.values()])

    def record(self) -> dict[str, Any]:
        """Counts of rows: read, removed by reason, sampled by task."""
        overlaps = Counter(line.evaluation_task for line in self._overlaps.values())
        return {
            "read": {"rows": self._read.total() + self._num_empty, "tasks": len(self._read)},
            "removed": {
                "name": {
                    "rows": self._removed_by_name.total(),
                    "tasks": len(self._removed_by_name),
                },
                "overlap": {
                    "rows": len(self._overlaps),
                    "tasks": len({line.task for line in self._overlaps.values()}),
                    "by_evaluation_task": dict(sorted(overlaps.items())),
                },
                "empty": {"rows": self._num_empty},
                "repeated": {"rows": self._num_repeated},
            },
            "drawn": {
                "rows": sum(self._sampled.values()),
                "tasks": dict(sorted(self._sampled.items())),
            },
            "checked_against": self._ngrams.record() if self._ngrams else None,
        }

    def write(self, path: Path) -> None:
        """Write removed.csv."""
        with replacing(path) as temporary, open(temporary, "w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(field.name for field in fields(Removed))
            writer.writerows(astuple(line) for line in self.removed())
