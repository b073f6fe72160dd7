"""From a dataset's files to its three splits: answered, disjoint, each in a fixed order.

The hub's habits need rules:

- a test split without answers, or none at all: the answered validation rows become test rows;
- no answered validation rows, or none left by the first rule: a tenth of the training rows, by a
  hash, become validation rows; without training rows, a tenth of the test rows;
- a dataset that the hub has as one split: another tenth of the training rows become test rows.

A row's id is a digest of its identity, so a text that occurs twice is one row: it stays in test
rather than in validation, and there rather than in train, whatever answers its copies bear. Copies
within a split give their answers together.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mergescale.provenance.digests import text_digest
from mergescale.tasks.public.columns import mismatch, texts_in, written
from mergescale.tasks.public.dataset import Dataset
from mergescale.tasks.public.json_lines import JsonRow
from mergescale.tasks.public.raw_rows import RawRows
from mergescale.tasks.task import SPLITS, stable_fraction

SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Row:
    """One row, or several with one identity, of a file that is read again when it is asked."""

    id: str
    source: RawRows
    places: tuple[int, ...]
    stratum: str

    def raw(self) -> list[JsonRow]:
        """The rows as their files have them."""
        return [self.source[place] for place in self.places]


@dataclass
class Splits:
    """The rows of each split, and how many are not rows of their own, by reason.

    `unusable`: faulty, few enough to be tolerated. `repeated`: in another split too, or once more
    in this one. `merged`: a further answer of a row of the same split.
    """

    rows: dict[str, list[Row]]
    dropped: Counter = field(default_factory=Counter)


def values_of(dataset: Dataset, line: JsonRow) -> dict[str, Any]:
    """The columns that a dataset needs, checked; texts lose the blanks around them.

    Raises:
        ValueError: a column is missing or of a wrong type.
    """
    found = {}
    for column, wanted in dataset.columns.items():
        value = line.value(column)
        if fault := mismatch(value, wanted):
            raise line.fault(column, f"the value {fault}; it must be {written(wanted)}")
        found[column] = value.strip() if isinstance(value, str) else value
    return found


def read_splits(
    dataset: Dataset, files: Mapping[str, RawRows], where: str, tolerated: float = 0.0
) -> Splits:
    """Read, check and sort out the rows of a dataset.

    Args:
        files: the raw rows of each split that there is.
        where: what error messages call the place of all files.
        tolerated: the largest share of a split's rows that may be unusable (an empty text, an
            answer that is none of the choices); they are left out and counted.

    Raises:
        ValueError: one sentence that names the file and, where they apply, row, column and fix.
    """
    dropped: Counter = Counter()
    found = {split: _answered(dataset, rows, dropped, tolerated) for split, rows in files.items()}
    splits = {split: found[split] for split in SPLITS if found.get(split)}
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    one_split = set(dataset.hub.splits) == {"train"} and "train" in splits
    if "test" not in splits and not one_split:
        raise ValueError(
            f"{where}: no test rows with answers, and no validation rows to take in their place; "
            f"give one of the two splits answers"
        )
    known: set[str] = set()
    for split in reversed(SPLITS):
        if split in splits:
            rows = splits[split]
            splits[split] = [row for row in rows if row.id not in known]
            dropped["repeated"] += len(rows) - len(splits[split])
            known.update(row.id for row in rows)
    for split, first in (("validation", 0.0), ("test", SHARE)):
        if split not in splits:
            giver = "train" if splits.get("train") else "test"
            splits |= _divided(dataset, splits[giver], giver, split, first)
    splits.setdefault("train", [])
    for split in ("validation", "test"):
        if not splits[split]:
            raise ValueError(
                f"{where}: no row is left for {split} once repeated texts and rows of other splits "
                f"are taken out; give the dataset more rows"
            )
    return Splits({split: _ordered(splits[split]) for split in SPLITS}, dropped)


def _answered(
    dataset: Dataset, lines: RawRows, dropped: Counter, tolerated: float
) -> list[Row] | None:
    """The rows of one split, copies as one; None if it bears no answers."""
    places: dict[str, list[int]] = {}
    strata: dict[str, str] = {}
    hidden: list[int] = []
    fault, faults = None, 0
    for place, line in enumerate(lines):
        values = values_of(dataset, line)
        try:
            if _checked(dataset, line, values):
                name = _id(dataset, values)
                places.setdefault(name, []).append(place)
                if dataset.strata:
                    strata[name] = str(values[dataset.strata])
            else:
                hidden.append(place)
        except ValueError as error:
            fault, faults = fault or error, faults + 1
            if faults > tolerated * len(lines):
                raise fault from None
    if not places:
        dropped["unusable"] += faults
        return None
    faults += len(hidden)
    if hidden and faults > tolerated * len(lines):
        raise ValueError(
            f"{lines[hidden[0]].place}: the answer is hidden (-1 or empty), while other rows of "
            f"the split have one; fill it in or remove the row"
        )
    dropped["unusable"] += faults
    copies = "merged" if dataset.kind == "generate" else "repeated"
    dropped[copies] += len(lines) - faults - len(places)
    return [Row(name, lines, tuple(found), strata.get(name, "")) for name, found in places.items()]


def _checked(dataset: Dataset, line: JsonRow, values: Mapping[str, Any]) -> bool:
    """Whether a row has an answer; raises ValueError if it cannot be asked."""
    try:
        answer = dataset.answer(values)
        if answer is None:
            return False
        for column in dataset.identity:
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
        raise ValueError(f"{line.place}, {error}") from None
    return True


def _id(dataset: Dataset, values: Mapping[str, Any]) -> str:
    return f"{dataset.name}-{_digest([values[column] for column in dataset.identity])}"


def _digest(content: list[Any]) -> str:
    return text_digest(json.dumps(content))[:16]


def _divided(
    dataset: Dataset, rows: list[Row], giver: str, taker: str, first: float
) -> dict[str, list[Row]]:
    """The rows of a split, a tenth of them given to another that has none."""
    divided: dict[str, list[Row]] = {giver: [], taker: []}
    for row in rows:
        name = row.id
        if dataset.together:
            values = row.source[row.places[0]].values
            name = _digest([values[column] for column in dataset.together])
        taken = first <= stable_fraction(f"validation/{name}") < first + SHARE
        divided[taker if taken else giver].append(row)
    return divided


def _ordered(rows: list[Row]) -> list[Row]:
    """Rows by the hash of their ids; where there are strata, one of each in turn."""
    rows = sorted(rows, key=lambda row: (stable_fraction(row.id), row.id))
    turns: Counter = Counter()
    keyed = []
    for place, row in enumerate(rows):
        keyed.append((turns[row.stratum], place, row))
        turns[row.stratum] += 1
    return [row for *_, row in sorted(keyed, key=lambda entry: entry[:2])]
