"""Real datasets: rows in the Hugging Face hub's columns, from a local folder or from the hub.

One file under `datasets/` declares a dataset: where it is, its columns, its answers and the
project's own templates. Files are read as they are, without the `datasets` library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mergescale.tasks.public.dataset import Dataset
from mergescale.tasks.public.datasets import DATASETS
from mergescale.tasks.public.prompt_templates import Way, examples_of, ways_of
from mergescale.tasks.public.splits import Row, Splits, read_splits
from mergescale.tasks.task import SPLITS, Example, Task

OVERLAPS = ("drop", "keep")
# Whoever takes the hub's rows cannot mend them: a few with an empty text are left out.
TOLERATED_ON_HUB = 0.01


@dataclass(frozen=True)
class Settings:
    """Where rows come from and how they are asked; `tasks` of the configuration.

    Attributes:
        folder: folder of the datasets' folders; None takes them from the hub.
        revisions: commits of the hub that are not the declared ones, by dataset.
        templates: `plain` or `promptsource`.
        templates_folder: promptsource's templates.
        template_mode: `sample` for one template per row, picked by a hash of the row, or `all`.
        overlap: `drop` or `keep` training rows that share 13 words in a row with rows of the
            other splits.
    """

    folder: Path | None = None
    revisions: Mapping[str, str] = field(default_factory=dict)
    templates: str = "plain"
    templates_folder: Path | None = None
    template_mode: str = "sample"
    overlap: str = "drop"


def tasks_in(settings: Settings) -> dict[str, Task]:
    """The tasks by name; a dataset's rows are read when asked for.

    `Task.examples` raises a ValueError that names dataset, file, row, column and fix if they are
    faulty.

    Raises:
        ValueError: `settings.revisions` names a dataset that there is not.
    """
    if unknown := sorted(settings.revisions.keys() - {dataset.name for dataset in DATASETS}):
        raise ValueError(f"a revision is given for {unknown[0]!r}, which is no dataset; correct it")
    return {dataset.name: _task(dataset, settings) for dataset in DATASETS}


def _task(dataset: Dataset, settings: Settings) -> Task:
    rows = RealTask(dataset, settings)
    return Task(
        dataset.name,
        dataset.title,
        dataset.kind,
        dataset.metric,
        dataset.describe,
        examples=rows.examples,
        record=rows.record,
    )


class RealTask:
    """One dataset with its rows, read at the first question."""

    def __init__(self, dataset: Dataset, settings: Settings) -> None:
        self.dataset = dataset
        self.settings = settings
        self._commit: str | None = None
        self._unasked: Counter = Counter()
        self._checked = self._shared = 0

    def examples(self, split: str, rows: int, seed: int) -> list[Example]:
        """The examples of the first `rows` rows of a split; training rows without near-duplicates.

        Raises:
            ValueError: one sentence that names dataset, file, row, column and fix.
        """
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
        try:
            return self._examples(split, rows, seed)
        except ValueError as error:
            raise ValueError(f"dataset {self.dataset.name}: {error}") from None

    def record(self) -> dict[str, Any]:
        """What task.json says of where the rows came from, after `examples` gave them."""
        hub, settings, dropped = self.dataset.hub, self.settings, self._splits.dropped
        return {
            "folder": settings.folder and str(settings.folder / self.dataset.folder),
            "hub": {"repository": hub.repo, "configuration": hub.config},
            "revision": self._commit,
            "templates": {
                "source": settings.templates,
                "mode": settings.template_mode,
                "names": [way.name for way in self.ways],
            },
            "dropped": {
                **{key: dropped[key] for key in ("unusable", "repeated", "merged")},
                "not_askable": self._unasked.total(),
            },
            "overlap": {
                "rule": settings.overlap,
                "train_rows_checked": self._checked,
                "train_rows_found": self._shared,
            },
        }

    @cached_property
    def ways(self) -> list[Way]:
        """The templates."""
        settings = self.settings
        return ways_of(self.dataset, settings.templates, settings.templates_folder)

    def _examples(self, split: str, rows: int, seed: int) -> list[Example]:
        found: list[Example] = []
        taken = self._unasked[split] = 0
        for row in self._train() if split == "train" else iter(self._splits.rows[split]):
            if taken == rows:
                break
            examples = examples_of(row, self.ways, seed, self.settings.template_mode)
            taken += bool(examples)
            self._unasked[split] += not examples
            found += examples
        if self._unasked[split] and not found:
            names = ", ".join(way.name for way in self.ways)
            raise ValueError(
                f"no {split} row can be asked: each template ({names}) leaves its prompt, answers "
                f"or choices empty; mend the templates or use plain ones"
            )
        return found

    def _train(self) -> Iterator[Row]:
        """Training rows in order; those that share words with other splits by the rule."""
        self._checked = self._shared = 0
        if not self._splits.rows["train"]:
            return
        for row in self._splits.rows["train"]:
            shares = self._evaluated.shares(self._texts(row))
            self._checked += 1
            self._shared += shares
            if not (shares and self.settings.overlap == "drop"):
                yield row

    @cached_property
    def _evaluated(self):
        from mergescale.tasks.public.near_duplicates import Index

        rows = self._splits.rows
        return Index(self._texts(row) for split in SPLITS[1:] for row in rows[split])

    def _texts(self, row: Row) -> list[str]:
        return self.dataset.texts(row.source[row.places[0]].values)

    @cached_property
    def _splits(self) -> Splits:
        from mergescale.tasks.public import folder_rows as local
        from mergescale.tasks.public import hub_rows as hub
        from mergescale.tasks.public.raw_rows import RawRows

        dataset, settings = self.dataset, self.settings
        if settings.folder is None:
            revision = settings.revisions.get(dataset.name, dataset.hub.revision)
            self._commit, files = hub.fetch(dataset, revision)
            where, tolerated = f"{dataset.hub.repo} at {self._commit}", TOLERATED_ON_HUB
        else:
            where, tolerated = str(settings.folder / dataset.folder), 0.0
            files = local.find(dataset, Path(where))
        # promptsource's templates may name any column.
        columns = list(dataset.columns) if settings.templates == "plain" else None
        rows = {split: RawRows(found, columns) for split, found in files.items()}
        return read_splits(dataset, rows, where, tolerated)


__all__ = ["DATASETS", "RealTask", "Settings", "tasks_in"]
