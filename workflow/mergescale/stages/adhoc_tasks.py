"""Task files of a few tasks made on the spot, for evaluation alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mergescale.provenance.atomic import write_json
from mergescale.tasks.example_files import write_examples
from mergescale.tasks.sources import task_of


def make_test_tasks(
    out: Path,
    names: Sequence[str],
    *,
    source: str,
    folder: Path | None,
    rows: int,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write `test.parquet` and `task.json` of each task into a folder of its name under `out`.

    Rows are those of the split `test`, or of `validation` where a dataset publishes no test labels.
    settings: further ones of real datasets, as in `tasks.sources.task_of`.

    Raises:
        ValueError: no task is named; the source has no such task, or the task no rows to score.
    """
    if not names:
        raise ValueError("nothing to evaluate: --tasks names no task of the source")
    # All names are looked up first: rows may take long to read.
    for task in [task_of(source, name, folder, **(settings or {})) for name in names]:
        for split in ("test", "validation"):
            if examples := task.examples(split, rows, seed):
                break
        else:
            raise ValueError(f"task {task.name} has no test or validation rows in {source!r}")
        write_examples(out / task.name / "test.parquet", examples)
        about = {"name": task.name, "kind": task.kind, "metric": task.metric, "split": split}
        write_json(out / task.name / "task.json", about)
