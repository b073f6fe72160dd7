"""Reads and writes the study's own files: examples and documents, as parquet.

Columns of examples: id, template, input, target (strings), choices, references (lists of strings);
mixtures add task. They are the same for every source of tasks.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mergescale.provenance.atomic import replacing
from mergescale.tasks.task import Example, stable_fraction

_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("template", pa.string()),
        ("input", pa.string()),
        ("target", pa.string()),
        ("choices", pa.list_(pa.string())),
        ("references", pa.list_(pa.string())),
    ]
)


def write_examples(
    path: Path, examples: Iterable[Example], tasks: Iterable[str] | None = None
) -> None:
    """Write examples to a parquet file.

    Args:
        path: the file.
        examples: the examples.
        tasks: the task of each example, as a further column.
    """
    examples = list(examples)
    columns = {
        "id": [e.id for e in examples],
        "template": [e.template for e in examples],
        "input": [e.input for e in examples],
        "target": [e.target for e in examples],
        "choices": [list(e.choices) for e in examples],
        "references": [list(e.references or (e.target,)) for e in examples],
    }
    schema = _SCHEMA
    if tasks is not None:
        columns["task"] = list(tasks)
        schema = schema.append(pa.field("task", pa.string()))
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary, compression="zstd")


def read_examples(path: Path) -> list[Example]:
    """Read the examples of a task file or a mixture.

    Raises:
        ValueError: the file lacks a column; the message names file and column.
    """
    table = pq.read_table(path)
    for name in _SCHEMA.names:
        if name not in table.column_names:
            raise ValueError(f"{path}: column {name!r} is missing; found {table.column_names}")
    return [
        Example(
            id=row["id"],
            template=row["template"],
            input=row["input"],
            target=row["target"],
            choices=tuple(row["choices"] or ()),
            references=tuple(row["references"] or ()),
        )
        for row in table.select(_SCHEMA.names).to_pylist()
    ]


def subset(examples: list[Example], rows: int) -> list[Example]:
    """The examples of `rows` rows, selected by a hash of the row.

    The selection is stable and nested: 64 rows are among the 256. All examples of a row, one per
    template, are selected with it.
    """
    order = {row: (stable_fraction(row), row) for row in {e.row for e in examples}}
    selected = set(sorted(order, key=order.get)[:rows])
    return sorted((e for e in examples if e.row in selected), key=lambda e: (order[e.row], e.id))


def write_documents(path: Path, documents: Iterable[str]) -> None:
    """Write a pre-training corpus: one column `text`, one row per document."""
    with replacing(path) as temporary:
        table = pa.table({"text": list(documents)}, schema=pa.schema([("text", pa.string())]))
        pq.write_table(table, temporary, compression="zstd")


def read_documents(path: Path) -> list[str]:
    """Read the documents of a corpus file."""
    return pq.read_table(path, columns=["text"]).column("text").to_pylist()
