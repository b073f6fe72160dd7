"""Rows in a local folder: `<folder>/<dataset>/{train,validation,test}.{jsonl,parquet}`."""

from __future__ import annotations

from pathlib import Path

from mergescale.tasks.public.columns import written
from mergescale.tasks.public.dataset import Dataset
from mergescale.tasks.public.raw_rows import FORMATS, SplitFile
from mergescale.tasks.task import SPLITS


def find(dataset: Dataset, folder: Path) -> dict[str, list[SplitFile]]:
    """The files of each split that is there.

    A split's file has our name for it or the hub's (`val.jsonl`, `test_r1.parquet`).

    Raises:
        ValueError: there is no such folder, two files are one split, or one is no file.
    """
    if not folder.is_dir():
        columns = ", ".join(f"{name} ({written(kind)})" for name, kind in dataset.columns.items())
        raise ValueError(
            f"{folder}: no such folder; put the rows of {dataset.title} there as "
            f"{', '.join(SPLITS)} (.jsonl or .parquet) with the columns {columns}, or take the "
            f"dataset from the hub"
        )
    found = {}
    for split in SPLITS:
        own = _file(folder, split)
        named = [
            (name, file)
            for name in dataset.hub.splits.get(split, ())
            if (file := _file(folder, name)) is not None and file != own
        ]
        files = [SplitFile(own)] if own else []
        files += [SplitFile(file, stratum(dataset, name)) for name, file in named]
        if own and named:
            raise ValueError(
                f"{own} and {named[0][1]} are both the {split} split; keep one of them"
            )
        if files:
            found[split] = files
    return found


def stratum(dataset: Dataset, hub_split: str) -> dict[str, str]:
    """What the name of one of the hub's splits says of its rows, e.g. the round of ANLI's."""
    _, _, value = hub_split.rpartition("_")
    return {dataset.strata: value} if dataset.strata else {}


def _file(folder: Path, name: str) -> Path | None:
    files = [folder / f"{name}{ending}" for ending in FORMATS]
    there = [file for file in files if file.exists()]
    if len(there) > 1:
        raise ValueError(f"{there[0]} and {there[1]} are the same split; keep one of them")
    if there and not there[0].is_file():  # a pipe would be waited on for ever
        raise ValueError(f"{there[0]} is no file; put the rows of the split there as a file")
    return there[0] if there else None
