"""From a dataset's files to its three splits: labelled, disjoint, none empty.

Two of the hub's habits need a rule:

- a test split without labels (all of them -1), or none at all: the labelled validation rows become
  test rows;
- no labelled validation rows, or none left by the first rule: every tenth training row, by a hash
  of its id, becomes a validation row.

A row's id is a digest of its text columns, so a text that occurs twice is one row: it stays in test
rather than in validation, and there rather than in train, whatever labels its copies bear.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mergescale.tasks.real.json_lines import JsonRow, read_json_lines
from mergescale.tasks.task import SPLITS, stable_fraction

if TYPE_CHECKING:
    from mergescale.tasks.real.dataset import Dataset

LABEL = "label"
UNLABELLED = -1
VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Row:
    """A labelled row: its id, what templates may name, and its label."""

    id: str
    fields: Mapping[str, str]
    label: int


def read_splits(dataset: Dataset, folder: Path) -> dict[str, list[Row]]:
    """Read a dataset's splits from `<folder>/{train,validation,test}.jsonl`.

    Raises:
        ValueError: one sentence that names the file and, where they apply, row, column and fix.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: no such folder; put the rows of {dataset.title} there as train.jsonl, "
            f"validation.jsonl and test.jsonl with the columns {_listed(dataset)}"
        )
    found = {split: _read(dataset, folder / f"{split}.jsonl") for split in SPLITS}
    splits = {split: rows for split, rows in found.items() if rows}
    if "train" not in splits:
        raise ValueError(
            f"{folder / 'train.jsonl'}: no labelled rows; give the file rows with the columns "
            f"{_listed(dataset)}"
        )
    if "test" not in splits:
        if "validation" not in splits:
            raise ValueError(
                f"{folder / 'test.jsonl'}: no labelled test rows, and no validation rows to take "
                f"in their place; give one of the two files labels"
            )
        splits["test"] = splits.pop("validation")
    known: set[str] = set()
    for split in ("test", "validation", "train"):
        if split in splits:
            splits[split] = _new(splits[split], known)
    if "validation" not in splits:
        splits |= _divided(splits["train"])
    for split in SPLITS:
        if not splits[split]:
            raise ValueError(
                f"{folder / 'train.jsonl'}: no row is left for {split} once repeated texts and "
                f"rows of other splits are taken out; give the file more rows"
            )
    return splits


def _read(dataset: Dataset, path: Path) -> list[Row]:
    """The rows of one file; none if it is not there or bears no labels."""
    if not path.exists():
        return []
    lines = read_json_lines(path)
    if not lines:
        raise ValueError(
            f"{path}: the split is empty; give it rows, or remove the file if the dataset has no "
            f"such split"
        )
    # A label that is absent is a fault, never a sign that the split is unlabelled.
    if all(line.value(LABEL) == UNLABELLED for line in lines):
        return []
    return [_row(dataset, line) for line in lines]


def _row(dataset: Dataset, line: JsonRow) -> Row:
    texts = {column: line.text(column) for column in dataset.columns}
    label = line.value(LABEL)
    if type(label) is not int or not 0 <= label < len(dataset.labels):
        known = ", ".join(f"{i} ({name})" for i, name in enumerate(dataset.labels))
        raise line.fault(LABEL, f"the label {label!r} is unknown; use one of {known}")
    try:
        fields = dataset.fields(texts)
    except ValueError as error:
        raise ValueError(f"{line.place}, {error}") from None
    content = json.dumps([texts[column] for column in dataset.columns])
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Row(f"{dataset.name}-{digest[:16]}", fields, label)


def _new(rows: list[Row], known: set[str]) -> list[Row]:
    """The rows whose ids are not yet `known`, which they are afterwards."""
    fresh = []
    for row in rows:
        if row.id not in known:
            known.add(row.id)
            fresh.append(row)
    return fresh


def _divided(rows: list[Row]) -> dict[str, list[Row]]:
    """Training rows as training and validation rows."""
    divided: dict[str, list[Row]] = {"train": [], "validation": []}
    for row in rows:
        taken = stable_fraction(f"validation/{row.id}") < VALIDATION_SHARE
        divided["validation" if taken else "train"].append(row)
    return divided


def _listed(dataset: Dataset) -> str:
    return ", ".join((*dataset.columns, LABEL))
