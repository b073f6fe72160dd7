"""Reads rows of JSON lines and parquet files with the `datasets` library.

Parquet files, and folders that `Dataset.save_to_disk` wrote, are loaded by the library as they are.
JSON lines are loaded by its text builder, a line at a time, and parsed here: its JSON builder would
guess a type for each column, so that texts such as "2020-01-31" become dates, fill missing keys
with null, refuse blank lines, and report errors without the row.

The library keeps what it has loaded in its own cache, memory-mapped, so that half a million rows
take little memory (`HF_HOME` or `HF_DATASETS_CACHE` say where).
"""

from __future__ import annotations

import gzip
import json
import logging
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

JSON_LINES = (".jsonl", ".jsonl.gz")
SAVED = "state.json"
"""The file that a folder of `Dataset.save_to_disk` has."""
_BLANK = " \t\n\r\x0b\x0c"
_BATCH = 1000


@dataclass(frozen=True)
class Row:
    """A row of a file.

    Attributes:
        path: the file.
        number: its line (JSON lines) or position, from 1.
        values: the columns.
    """

    path: Path
    number: int
    values: Mapping[str, Any]

    @property
    def location(self) -> str:
        """File and row, for messages."""
        return f"{self.path}, row {self.number}"

    def fault(self, column: str, problem: str) -> ValueError:
        """An error that names file, row and column."""
        return ValueError(f"{self.location}, column {column!r}: {problem}")

    def value(self, column: str) -> Any:
        """The value of a column.

        Raises:
            ValueError: the row lacks the column.
        """
        if column not in self.values:
            raise self.fault(
                column,
                f"the column is missing; the row has {', '.join(self.values) or 'no columns'}: "
                f"rename or add it",
            )
        return self.values[column]

    def text(self, column: str) -> str:
        """The text of a column, stripped.

        Raises:
            ValueError: the row lacks the column, or it is not text, or blank.
        """
        value = self.value(column)
        if not isinstance(value, str):
            kind = type(value).__name__
            raise self.fault(column, f"the value is not text but {kind}; put it in quotes")
        if not value.strip():
            raise self.fault(column, "the text is empty; fill it in or remove the row")
        return value.strip()


@dataclass(frozen=True)
class RowFile:
    """A file of rows; `extra` are columns that its name provides for all of its rows."""

    path: Path
    extra: Mapping[str, Any] = field(default_factory=dict)


class Rows(Sequence[Row]):
    """The rows of several files, one after the other; a row is decoded when it is accessed.

    Args:
        files: JSON lines files, parquet files or folders of `Dataset.save_to_disk`.
        columns: the only columns that are read from parquet; by default all.

    Raises:
        ValueError: a file cannot be read, lacks a column, or has no rows.
    """

    def __init__(self, files: Sequence[RowFile], columns: Sequence[str] | None = None) -> None:
        self._extras = [file.extra for file in files]
        self._parts = [
            load_file(file.path, columns and [name for name in columns if name not in file.extra])
            for file in files
        ]
        for file, part in zip(files, self._parts, strict=True):
            if not part:
                raise ValueError(
                    f"{file.path}: the split is empty; give it rows, or remove the file if the "
                    f"dataset has no such split"
                )
        self._ends = list(accumulate(len(part) for part in self._parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Row:
        part = bisect_right(self._ends, index)
        start = self._ends[part - 1] if part else 0
        return _add_columns(self._parts[part][index - start], self._extras[part])

    def __iter__(self) -> Iterator[Row]:
        for part, extra in zip(self._parts, self._extras, strict=True):
            for row in part:
                yield _add_columns(row, extra)


def _add_columns(row: Row, extra: Mapping[str, Any]) -> Row:
    return Row(row.path, row.number, {**extra, **row.values}) if extra else row


def load_file(path: Path, columns: Sequence[str] | None = None) -> Sequence[Row]:
    """The rows of one file.

    Args:
        path: JSON lines file, parquet file or folder of `Dataset.save_to_disk`.
        columns: the only columns that are read from parquet; by default all.

    Raises:
        ValueError: the file cannot be read or lacks a column.
    """
    return _JsonLines(path) if path.name.endswith(JSON_LINES) else _Table(path, columns)


class _JsonLines(Sequence[Row]):
    """Rows of a JSON lines file; blank lines are skipped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = _load("text", path).with_format("arrow") if path.stat().st_size else None
        self._indices = array(
            "Q", (index for index, line in enumerate(self._texts()) if line.strip(_BLANK))
        )

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Row:
        line = self._indices[index]
        (text,) = self._lines[line : line + 1].column("text").to_pylist()
        return parse_json_row(self._path, line + 1, text)

    def __iter__(self) -> Iterator[Row]:
        for number, line in enumerate(self._texts(), start=1):
            if line.strip(_BLANK):
                yield parse_json_row(self._path, number, line)

    def _texts(self) -> Iterator[str]:
        for batch in self._lines.iter(_BATCH) if self._lines is not None else ():
            yield from batch.column("text").to_pylist()


class _Table(Sequence[Row]):
    """Rows of a parquet file or of a folder of `Dataset.save_to_disk`."""

    def __init__(self, path: Path, columns: Sequence[str] | None) -> None:
        self._path = path
        if path.is_dir():
            with _one_line_errors(path):
                table = _library().load_from_disk(str(path))
            check_columns(path, columns or (), table.column_names)
            self._data = table.select_columns(list(columns)) if columns else table
        else:
            names = read_schema(path).names
            check_columns(path, columns or (), names)
            # The library cannot load a file without rows.
            empty = not names or _count_rows(path) == 0
            self._data = [] if empty else _load("parquet", path, columns=columns and list(columns))
        if self._data:
            self._data = self._data.with_format("arrow")

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Row:
        (values,) = self._decode(self._data[index : index + 1], index)
        return Row(self._path, index + 1, values)

    def __iter__(self) -> Iterator[Row]:
        number = 0
        for batch in self._data.iter(_BATCH):
            for values in self._decode(batch, number):
                number += 1
                yield Row(self._path, number, values)

    def _decode(self, rows: Any, before: int) -> list[dict[str, Any]]:
        """Arrow rows as Python objects; `before` is the number of rows before them."""
        try:
            return rows.to_pylist()
        except (ValueError, OverflowError) as error:
            raise ValueError(
                f"{self._path}, rows {before + 1} to {before + rows.num_rows}: a value cannot be "
                f"read ({error}); write the file again, texts as UTF-8"
            ) from None


def read_schema(path: Path) -> Any:
    """The Arrow schema of a parquet file.

    Raises:
        ValueError: it is not a parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path}: not a readable parquet file ({reason}); fetch or write it again"
        ) from None


def _count_rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def check_columns(path: Path, columns: Sequence[str], existing: Sequence[str]) -> None:
    """Check that a file has some columns.

    Raises:
        ValueError: it lacks one.
    """
    if missing := [name for name in columns if name not in existing]:
        raise ValueError(
            f"{path}, column {missing[0]!r}: the column is missing; the file has "
            f"{', '.join(existing) or 'no columns'}: rename or add it"
        )


def stream_table(path: Path, columns: Sequence[str], size: int) -> Iterator[list[tuple]]:
    """Values of some columns of a parquet file, `size` rows at a time; nothing is cached."""
    stream = _load("parquet", path, columns=list(columns), streaming=True)
    for batch in _batches(path, stream, size):
        yield list(zip(*(batch[name] for name in columns), strict=True))


def stream_json_lines(path: Path, size: int) -> Iterator[list[Row]]:
    """Rows of a JSON lines file, at most `size` at a time; nothing is cached."""
    number = 0
    for batch in _batches(path, _load("text", path, streaming=True), size):
        numbered = enumerate(batch["text"], start=number + 1)
        yield [parse_json_row(path, line, text) for line, text in numbered if text.strip(_BLANK)]
        number += len(batch["text"])


def parse_json_row(path: Path, number: int, line: str) -> Row:
    """The row of one line.

    Raises:
        ValueError: the line is not a JSON object, or a text has half a character (`\\ud83d`).
    """
    location = f"{path}, row {number}"
    try:
        value = json.loads(line.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{location}: not valid JSON ({error.msg} at character {error.pos + 1}); "
            f"write one JSON object per line"
        ) from None
    except RecursionError:
        raise ValueError(f"{location}: nested too deep to be read; write flat columns") from None
    except ValueError:  # Python reads no number of more than 4300 digits
        raise ValueError(f"{location}: a number has too many digits; shorten it") from None
    if not isinstance(value, dict):
        raise ValueError(
            f"{location}: a JSON {type(value).__name__}, not an object; write one object per line, "
            f"with the columns as its keys"
        )
    if "\\u" in line and (column := _lone_surrogate(value)) is not None:
        raise Row(path, number, value).fault(
            column, "the text has half a character (a lone surrogate); remove it"
        )
    return Row(path, number, value)


def _lone_surrogate(value: Mapping[str, Any]) -> str | None:
    """The first column with a surrogate without its other half, which UTF-8 cannot encode."""
    for column, entry in value.items():
        try:
            json.dumps([column, entry], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return column
    return None


def _library() -> Any:
    """The `datasets` library; it prints no errors, and progress bars on terminals only."""
    import datasets

    datasets.logging.set_verbosity(logging.CRITICAL)  # errors are raised as well
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    return datasets


def _load(builder: str, path: Path, **settings: Any) -> Any:
    """A file as a dataset of the library, by one of its builders."""
    with _one_line_errors(path):
        return _library().load_dataset(
            builder, data_files={"train": [str(path.resolve())]}, split="train", **settings
        )


def _batches(path: Path, stream: Any, size: int) -> Iterator[Mapping[str, list]]:
    """The batches of a streamed dataset."""
    batches = stream.iter(size)
    while True:
        with _one_line_errors(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    """Turn what the library and Arrow raise into one line with the file and the fix."""
    import pyarrow as pa

    library_error = _library().exceptions.DatasetsError
    try:
        yield
    except (pa.ArrowException, library_error, OSError, ValueError) as error:
        if path.name.endswith(JSON_LINES):
            _check_encoding(path)
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split())[:200] or type(cause).__name__
        raise ValueError(f"{path}: cannot be read ({reason}); fetch or write it again") from None


def _check_encoding(path: Path) -> None:
    """Find the line of a file that is not UTF-8.

    Raises:
        ValueError: there is one; the message names it.
    """
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                raise ValueError(
                    f"{path}, row {number}: not UTF-8 text; save the file as UTF-8"
                ) from None
