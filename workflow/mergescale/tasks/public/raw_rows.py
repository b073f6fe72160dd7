"""Rows of one split as they are in their files: JSON lines or parquet, in the hub's columns."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from mergescale.tasks.public.json_lines import JsonRow, read_json_lines

FORMATS = (".jsonl", ".parquet")
_BATCH = 1000


@dataclass(frozen=True)
class SplitFile:
    """A file of a split; `extra` are columns that its place says, not its rows."""

    path: Path
    extra: Mapping[str, Any] = field(default_factory=dict)


class RawRows(Sequence):
    """The rows of several files one after the other; parquet rows are made when asked for.

    Raises:
        ValueError: a file cannot be read, or is empty.
    """

    def __init__(self, files: Sequence[SplitFile], columns: Sequence[str] | None = None) -> None:
        """`columns` are the only ones read from parquet; by default all are."""
        self._extras = [file.extra for file in files]
        self._parts = [
            _read(file.path, columns and [name for name in columns if name not in file.extra])
            for file in files
        ]
        self._ends = list(accumulate(len(part) for part in self._parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, place: int) -> JsonRow:
        part = bisect_right(self._ends, place)
        before = self._ends[part - 1] if part else 0
        return _with(self._parts[part][place - before], self._extras[part])

    def __iter__(self) -> Iterator[JsonRow]:
        for part, extra in zip(self._parts, self._extras, strict=True):
            for row in part:
                yield _with(row, extra)


def _with(row: JsonRow, extra: Mapping[str, Any]) -> JsonRow:
    return JsonRow(row.path, row.number, {**extra, **row.values}) if extra else row


def _read(path: Path, columns: Sequence[str] | None) -> Sequence[JsonRow]:
    rows = read_json_lines(path) if path.suffix == ".jsonl" else _ParquetRows(path, columns)
    if not rows:
        raise ValueError(
            f"{path}: the split is empty; give it rows, or remove the file if the dataset has no "
            f"such split"
        )
    return rows


class _ParquetRows(Sequence):
    """Rows of a parquet file. The table stays in Arrow's memory: half a million rows as Python
    objects would take many times the space."""

    def __init__(self, path: Path, columns: Sequence[str] | None) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        try:
            there = pq.read_schema(path).names
            if columns is not None and (missing := [n for n in columns if n not in there]):
                raise ValueError(
                    f"{path}, column {missing[0]!r}: the column is missing; the file has "
                    f"{', '.join(there) or 'no columns'}: rename or add it"
                )
            # By path alone: pyarrow would take parts of it (`default/train`) for partitions.
            with open(path, "rb") as stream:
                self._table = pq.read_table(stream, columns=columns)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{path}: not a readable parquet file ({reason}); fetch or write it again"
            ) from None

    def __len__(self) -> int:
        return self._table.num_rows

    def __getitem__(self, place: int) -> JsonRow:
        (values,) = self._values(self._table.slice(place, 1), place)
        return JsonRow(self._path, place + 1, values)

    def __iter__(self) -> Iterator[JsonRow]:
        number = 0
        for batch in self._table.to_batches(max_chunksize=_BATCH):
            for values in self._values(batch, number):
                number += 1
                yield JsonRow(self._path, number, values)

    def _values(self, rows: Any, before: int) -> list[dict[str, Any]]:
        """Arrow's rows as Python objects; `before` rows of the file come before them."""
        try:
            return rows.to_pylist()
        except (ValueError, OverflowError) as error:
            raise ValueError(
                f"{self._path}, rows {before + 1} to {before + rows.num_rows}: a value cannot be "
                f"read ({error}); write the file again, texts as UTF-8"
            ) from None
