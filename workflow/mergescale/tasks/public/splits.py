"""Divides the rows of a dataset into train, validation and test: labeled, disjoint, ordered.

Not every dataset of the hub has three labeled splits, hence these rules:

- no labeled test split: the labeled validation rows become test rows;
- no labeled validation rows (left): a tenth of the training rows, by a hash, become validation
  rows; without training rows, a tenth of the test rows;
- a dataset that has one split on the hub: another tenth of the training rows become test rows.

A row's id is a digest of its key columns, so a text that occurs twice is one row. It stays in test
rather than in validation, and in validation rather than in train, whatever the labels of its
copies. Copies within a split contribute their answers as further references.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mergescale.provenance.digests import text_digest
from mergescale.tasks.public.dataset import Dataset, describe_type, mismatch, texts_in
from mergescale.tasks.rows import Row, Rows
from mergescale.tasks.task import SPLITS, stable_fraction

HOLDOUT = 0.1


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A row of a split with its copies; the columns are read again when they are needed.

    Attributes:
        id: digest of the key columns, after the dataset's name.
        source: the rows of the split's files.
        indices: the row and its copies in `source`.
        stratum: value of the dataset's `strata` column; empty without one.
    """

    id: str
    source: Rows
    indices: tuple[int, ...]
    stratum: str

    def read(self) -> list[Row]:
        """The row and its copies, as their files have them."""
        return [self.source[index] for index in self.indices]


@dataclass
class Splits:
    """The rows of each split, and how many rows of the files are not among them.

    Attributes:
        rows: rows by split.
        dropped: counts by reason. `unusable`: faulty, within the tolerance. `repeated`: also in
            another split, or again in the same one. `merged`: a further answer to a row of the same
            split.
    """

    rows: dict[str, list[SplitRow]]
    dropped: Counter = field(default_factory=Counter)


def checked_values(dataset: Dataset, row: Row) -> dict[str, Any]:
    """The columns that a dataset requires, with texts stripped.

    Raises:
        ValueError: a column is missing or has a wrong type.
    """
    values = {}
    for column, expected in dataset.columns.items():
        value = row.value(column)
        if fault := mismatch(value, expected):
            raise row.fault(column, f"the value {fault}; it must be {describe_type(expected)}")
        values[column] = value.strip() if isinstance(value, str) else value
    return values


def read_splits(
    dataset: Dataset, files: Mapping[str, Rows], origin: str, tolerated: float = 0.0
) -> Splits:
    """Read and check the rows of a dataset, and divide them into splits.

    Args:
        dataset: the dataset.
        files: the rows of each split that exists.
        origin: folder or repository of the files, for messages.
        tolerated: the largest fraction of a split's rows that may be unusable (an empty text, an
            answer that is not among the choices); they are dropped and counted.

    Raises:
        ValueError: one line that names the file and, where they apply, row, column and fix.
    """
    dropped: Counter = Counter()
    labeled = {split: _labeled(dataset, rows, dropped, tolerated) for split, rows in files.items()}
    splits = {split: labeled[split] for split in SPLITS if labeled.get(split)}
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    one_split = set(dataset.hub.splits) == {"train"} and "train" in splits
    if "test" not in splits and not one_split:
        raise ValueError(
            f"{origin}: neither test nor validation rows have answers; give one of the two splits "
            f"answers"
        )
    known: set[str] = set()
    for split in reversed(SPLITS):
        if split in splits:
            rows = splits[split]
            splits[split] = [row for row in rows if row.id not in known]
            dropped["repeated"] += len(rows) - len(splits[split])
            known.update(row.id for row in rows)
    for split, first in (("validation", 0.0), ("test", HOLDOUT)):
        if split not in splits:
            donor = "train" if splits.get("train") else "test"
            splits |= _hold_out(dataset, splits[donor], donor, split, first)
    splits.setdefault("train", [])
    for split in ("validation", "test"):
        if not splits[split]:
            raise ValueError(
                f"{origin}: no row is left for {split} after repeated texts and rows of other "
                f"splits were removed; give the dataset more rows"
            )
    return Splits({split: _ordered(splits[split]) for split in SPLITS}, dropped)


def _labeled(
    dataset: Dataset, rows: Rows, dropped: Counter, tolerated: float
) -> list[SplitRow] | None:
    """The rows of one split, with copies joined; None if the split has no answers."""
    indices: dict[str, list[int]] = {}
    strata: dict[str, str] = {}
    hidden: list[int] = []
    fault, faults = None, 0
    for index, row in enumerate(rows):
        values = checked_values(dataset, row)
        try:
            if _has_answer(dataset, row, values):
                name = _row_id(dataset, values)
                indices.setdefault(name, []).append(index)
                if dataset.strata:
                    strata[name] = str(values[dataset.strata])
            else:
                hidden.append(index)
        except ValueError as error:
            fault, faults = fault or error, faults + 1
            if faults > tolerated * len(rows):
                raise fault from None
    if not indices:
        dropped["unusable"] += faults
        return None
    faults += len(hidden)
    if hidden and faults > tolerated * len(rows):
        raise ValueError(
            f"{rows[hidden[0]].location}: the answer is hidden (-1 or empty), while other rows of "
            f"the split have one; fill it in or remove the row"
        )
    dropped["unusable"] += faults
    reason = "merged" if dataset.kind == "generate" else "repeated"
    dropped[reason] += len(rows) - faults - len(indices)
    return [
        SplitRow(name, rows, tuple(copies), strata.get(name, ""))
        for name, copies in indices.items()
    ]


def _has_answer(dataset: Dataset, row: Row, values: Mapping[str, Any]) -> bool:
    """Whether a row has an answer; raises ValueError if no prompt can be made of it."""
    try:
        answer = dataset.answer(values)
        if answer is None:
            return False
        for column in dataset.key_columns:
            if not any(text.strip() for text in texts_in(values[column])) and not isinstance(
                values[column], int
            ):
                raise ValueError(
                    f"column {column!r}: the text is empty; fill it in or remove the row"
                )
        dataset.fields(values)
        if dataset.choices and isinstance(answer, int):
            dataset.choices(values)[answer]
    except ValueError as error:
        raise ValueError(f"{row.location}, {error}") from None
    return True


def _row_id(dataset: Dataset, values: Mapping[str, Any]) -> str:
    return f"{dataset.name}-{_digest([values[column] for column in dataset.key_columns])}"


def _digest(content: list[Any]) -> str:
    return text_digest(json.dumps(content))[:16]


def _hold_out(
    dataset: Dataset, rows: list[SplitRow], donor: str, split: str, first: float
) -> dict[str, list[SplitRow]]:
    """The rows of a donor split, a tenth of them moved to a split that has none."""
    divided: dict[str, list[SplitRow]] = {donor: [], split: []}
    for row in rows:
        name = row.id
        if dataset.group_by:
            values = row.source[row.indices[0]].values
            name = _digest([values[column] for column in dataset.group_by])
        held_out = first <= stable_fraction(f"validation/{name}") < first + HOLDOUT
        divided[split if held_out else donor].append(row)
    return divided


def _ordered(rows: list[SplitRow]) -> list[SplitRow]:
    """Rows by the hash of their ids; with strata, one of each stratum in turn."""
    rows = sorted(rows, key=lambda row: (stable_fraction(row.id), row.id))
    turns: Counter = Counter()
    keyed = []
    for position, row in enumerate(rows):
        keyed.append((turns[row.stratum], position, row))
        turns[row.stratum] += 1
    return [row for *_, row in sorted(keyed, key=lambda entry: entry[:2])]
