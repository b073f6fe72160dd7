"""Real rows: datasets read from a folder of JSON lines files in the Hugging Face hub's columns.

A folder holds one folder a dataset with `train.jsonl`, `validation.jsonl` and `test.jsonl`. Files
are read as they are, without the `datasets` library: nothing is fetched and no cache is written.
One file under `datasets/` declares a dataset: its columns, its labels and its prompt templates.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mergescale.tasks.files import subset
from mergescale.tasks.real.dataset import Dataset, render
from mergescale.tasks.real.datasets import DATASETS
from mergescale.tasks.real.splits import Row, read_splits
from mergescale.tasks.task import SPLITS, Example, Task


def tasks_in(folder: Path) -> dict[str, Task]:
    """The tasks whose rows lie in `folder`, by name; a dataset's files are read when asked for.

    `Task.examples` raises a ValueError that names file, row, column and fix if they are faulty.
    """
    return {dataset.name: _task(dataset, folder) for dataset in DATASETS}


def _task(dataset: Dataset, folder: Path) -> Task:
    # The splits are cleaned of each other's rows, so any one of them takes reading all files.
    @cache
    def splits() -> dict[str, list[Row]]:
        return read_splits(dataset, folder / dataset.folder)

    def examples(split: str, rows: int, seed: int) -> list[Example]:
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
        return [render(dataset, row, seed) for row in subset(splits()[split], rows)]

    return Task(
        dataset.name, dataset.title, "rank", "accuracy", dataset.describe, examples=examples
    )


__all__ = ["DATASETS", "tasks_in"]
