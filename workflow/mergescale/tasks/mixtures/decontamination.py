"""Removes from a mixture what models are evaluated on, and says what was removed, and why.

Two nets: tasks whose name says that they are one of T0's (`t0_tasks`), and rows that share words
in a row with an evaluation example (`overlap`), whatever their task is called.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from mergescale.provenance.atomic import replacing
from mergescale.tasks.mixtures.example_batches import Batch
from mergescale.tasks.mixtures.ngram_overlap import Ngrams
from mergescale.tasks.mixtures.t0_datasets import t0_dataset
from mergescale.tasks.task import Example


@dataclass(frozen=True, order=True)
class Removed:
    """One line of removed.csv: a whole task, or one of its rows.

    Attributes:
        task: name of the task within the mixture's source.
        row: id of the row; empty where the whole task was removed.
        reason: `name` or `overlap`.
        rows: how many rows this line removed.
        evaluation_task: the dataset that the name tells, or the task of the example.
        evaluation_example: id of an example that shares the words.
        ngram: the first words that the row shares with that example.
    """

    task: str
    row: str
    reason: str
    rows: int
    evaluation_task: str
    evaluation_example: str = ""
    ngram: str = ""


class Decontamination:
    """Cleans batches and keeps count; without `ngrams` only names are looked at."""

    def __init__(self, ngrams: Ngrams | None = None) -> None:
        self._ngrams = ngrams
        self._read: Counter[str] = Counter()
        self._named: Counter[str] = Counter()
        self._overlaps: dict[str, Removed] = {}
        self._empty = self._repeated = 0
        self._drawn: dict[str, int] = {}

    def clean(self, batch: Batch) -> list[tuple[str, Example]]:
        """The rows of a batch that may stay."""
        self._empty += batch.empty
        stay = []
        for task, example in batch.rows:
            self._read[task] += 1
            if t0_dataset(task):
                self._named[task] += 1
            else:
                stay.append((task, example))
        if self._ngrams is None:
            return stay
        shared = self._ngrams.shared([(example.input, example.target) for _, example in stay])
        for row, found in shared.items():
            task, example = stay[row]
            self._overlaps.setdefault(
                example.id,
                Removed(task, example.id, "overlap", 1, found.task, found.example, found.ngram),
            )
        return [kept for row, kept in enumerate(stay) if row not in shared]

    def drew(self, shares: dict[str, int], *, repeated: int) -> None:
        """Note how many rows each task gave, and how many rows repeated another one."""
        self._drawn, self._repeated = shares, repeated

    def nothing_left(self) -> str:
        """A sentence that says why a mixture is empty."""
        if not self._read:
            return "the mixture's source has no rows with text; give it rows"
        return (
            f"all {self._read.total()} rows of the mixture's source were removed, "
            f"{self._named.total()} by the names of their tasks and {len(self._overlaps)} by words "
            f"that they share with evaluation; use another source"
        )

    def removed(self) -> list[Removed]:
        """All that was removed, by task and row."""
        named = [
            Removed(task, "", "name", rows, t0_dataset(task) or "")
            for task, rows in self._named.items()
        ]
        return sorted([*named, *self._overlaps.values()])

    def record(self) -> dict[str, Any]:
        """Counts of rows: read, removed by reason, drawn by task."""
        overlaps = Counter(line.evaluation_task for line in self._overlaps.values())
        return {
            "read": {"rows": self._read.total() + self._empty, "tasks": len(self._read)},
            "removed": {
                "name": {"rows": self._named.total(), "tasks": len(self._named)},
                "overlap": {
                    "rows": len(self._overlaps),
                    "tasks": len({line.task for line in self._overlaps.values()}),
                    "by_evaluation_task": dict(sorted(overlaps.items())),
                },
                "empty": {"rows": self._empty},
                "repeated": {"rows": self._repeated},
            },
            "drawn": {
                "rows": sum(self._drawn.values()),
                "tasks": dict(sorted(self._drawn.items())),
            },
            "checked_against": self._ngrams.record() if self._ngrams else None,
        }

    def write(self, path: Path) -> None:
        """Write removed.csv."""
        with replacing(path) as temporary, open(temporary, "w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(field.name for field in fields(Removed))
            writer.writerows(astuple(line) for line in self.removed())
