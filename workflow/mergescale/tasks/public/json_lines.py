"""JSON lines: one object a line. Every fault is a sentence with file, row, column and fix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class JsonRow:
    """One object of a file; `number` is its line, counted from 1."""

    path: Path
    number: int
    values: Mapping[str, Any]

    @property
    def place(self) -> str:
        return f"{self.path}, row {self.number}"

    def fault(self, column: str, what: str) -> ValueError:
        """An error that says where it is: file, row and column."""
        return ValueError(f"{self.place}, column {column!r}: {what}")

    def value(self, column: str) -> Any:
        """The value of a column, which must be there."""
        if column not in self.values:
            raise self.fault(
                column,
                f"the column is missing; the row has {', '.join(self.values) or 'no columns'}: "
                f"rename or add it",
            )
        return self.values[column]

    def text(self, column: str) -> str:
        """The text of a column: it must be there, be text, and not be blank."""
        value = self.value(column)
        if not isinstance(value, str):
            kind = type(value).__name__
            raise self.fault(column, f"the value is not text but {kind}; put it in quotes")
        if not value.strip():
            raise self.fault(column, "the text is empty; fill it in or remove the row")
        return value.strip()


def read_json_lines(path: Path) -> list[JsonRow]:
    """All objects of a file; blank lines are passed over.

    Raises:
        ValueError: the file is not UTF-8, or a line is not a JSON object.
    """
    # Bytes are split at line feeds only: text may hold other characters that end lines elsewhere.
    lines = enumerate(path.read_bytes().split(b"\n"), start=1)
    return [json_row(path, number, line) for number, line in lines if line.strip()]


def json_row(path: Path, number: int, line: bytes) -> JsonRow:
    """The object of one line.

    Raises:
        ValueError: the line is not UTF-8, not a JSON object, or holds half a character (`\\ud83d`).
    """
    place = f"{path}, row {number}"
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError(f"{place}: not UTF-8 text; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{place}: not valid JSON ({error.msg} at character {error.pos + 1}); "
            f"write one JSON object a line"
        ) from None
    except RecursionError:
        raise ValueError(f"{place}: nested too deep to be read; write flat columns") from None
    except ValueError:  # Python reads no number of more than 4300 digits
        raise ValueError(f"{place}: a number has too many digits; shorten it") from None
    if not isinstance(value, dict):
        raise ValueError(
            f"{place}: a JSON {type(value).__name__}, not an object; write one object a line, "
            f"with the columns as its keys"
        )
    if b"\\u" in line and (column := _halved(value)) is not None:
        raise JsonRow(path, number, value).fault(
            column, "the text holds half a character (a lone surrogate); remove it"
        )
    return JsonRow(path, number, value)


def _halved(value: Mapping[str, Any]) -> str | None:
    """The first column with a surrogate that has lost its other half: UTF-8 cannot write it."""
    for column, entry in value.items():
        try:
            json.dumps([column, entry], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return column
    return None
