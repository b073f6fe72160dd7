"""The tidy tables of a study (CSV files): their columns, and how they are read and written.

A column is "text", "integer" or "number". An empty cell is an empty string in a text column and a
missing value in the others. Numbers are written with six decimals and Unix line ends, so equal
contents are equal bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mergescale.provenance.atomic import write_text

if TYPE_CHECKING:
    import pandas as pd

HELD_IN, HELD_OUT = "held_in", "held_out"
ROLES = (HELD_IN, HELD_OUT)
BASES = ("pt", "it")
MULTITASK = "multitask"

SCORES = {
    "size": "text",
    "base": "text",
    "model": "text",  # base, expert, multitask or merge
    "expert": "text",  # the category an expert was trained on; empty otherwise
    "method": "text",  # merges only, as are count, seed, density and lambda
    "count": "integer",
    "seed": "integer",
    "role": "text",
    "category": "text",
    "task": "text",
    "metric": "text",
    "rows": "integer",
    "score": "number",  # 0..1, higher is better
    "density": "number",
    "lambda": "number",
}
DRAWS = {"count": "integer", "seed": "integer", "categories": "text"}
NORMALIZED = {
    "size": "text",
    "base": "text",
    "method": "text",
    "count": "integer",
    "seed": "integer",
    "role": "text",
    "category": "text",
    "task": "text",
    "score": "number",
    "reference": "number",
    "normalized": "number",  # empty where the reference is 0
}
PERFORMANCE = {
    "size": "text",
    "base": "text",
    "role": "text",
    "method": "text",
    "count": "integer",
    "mean": "number",
    "spread_low": "number",
    "spread_high": "number",
    "std": "number",  # over the draws (n - 1); empty for a single draw
    "draws": "integer",
}
TASKS = {
    "task": "text",
    "title": "text",
    "category": "text",
    "role": "text",
    "kind": "text",
    "metric": "text",
    "chance": "number",
    "ceiling": "number",
    "rows": "integer",
}
TIMING = {"part": "text", "seconds": "number", "jobs": "integer"}  # parts of a job, such as reading


def read_table(path: str | Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a tidy table with exactly `columns`, in their order.

    Args:
        path: the CSV file; columns beyond `columns` are dropped.
        columns: {name: "text", "integer" or "number"}.

    Returns:
        Text columns hold str, integers are nullable (Int64), numbers float64 with NaN for an empty
        cell.

    Raises:
        ValueError: a column is missing or has a value of another kind; names file and column.
    """
    import pandas as pd

    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]}; it must have {', '.join(columns)}")
    frame = frame[list(columns)].copy()
    for column, kind in columns.items():
        if kind == "text":
            continue
        try:
            numbers = pd.to_numeric(frame[column].where(frame[column] != ""))
            frame[column] = numbers.astype("Int64" if kind == "integer" else "float64")
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: column {column} must hold {kind}s: {error}") from None
    return frame


def write_table(frame: pd.DataFrame, path: str | Path, columns: Iterable[str]) -> None:
    """Write the `columns` of `frame` as a tidy table, atomically and byte for byte reproducibly."""
    text = frame[list(columns)].to_csv(index=False, float_format="%.6f", lineterminator="\n")
    write_text(path, text)


def unique_values(
    values: Iterable[str], first: Collection[str] = (), last: Collection[str] = ()
) -> list[str]:
    """The distinct non-empty `values` in order of appearance, `first` ahead and `last` behind."""
    seen = list(dict.fromkeys(value for value in values if value != ""))
    middle = [value for value in seen if value not in first and value not in last]
    return [v for v in first if v in seen] + middle + [v for v in last if v in seen]


def sort_rows(
    frame: pd.DataFrame, by: Sequence[str], orders: Mapping[str, Sequence[object]]
) -> pd.DataFrame:
    """Sort `frame` by the columns `by`; a column in `orders` follows that list of its values."""
    ranks = {column: {v: i for i, v in enumerate(values)} for column, values in orders.items()}

    def key(column: pd.Series) -> pd.Series:
        return column.map(ranks[column.name]).astype(int) if column.name in ranks else column

    return frame.sort_values(list(by), key=key, kind="stable", ignore_index=True)
