"""The tasks of public datasets: rows that are read, divided, deduplicated and rendered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergescale.tasks.prompt_config import PromptConfig
from mergescale.tasks.public.dataset import Dataset
from mergescale.tasks.public.datasets import DATASETS
from mergescale.tasks.public.prompt_templates import (
    PromptTemplate,
    load_prompt_templates,
    render_examples,
)
from mergescale.tasks.public.row_files import (
    HubUnreachableError,
    fetch_from_hub,
    find_in_folder,
)
from mergescale.tasks.public.splits import SplitRow, Splits, read_splits
from mergescale.tasks.task import SPLITS, Example, Task

if TYPE_CHECKING:
    from mergescale.tasks.ngram_overlap import NgramIndex

# Faulty rows of the hub cannot be fixed by its users, so that few of them are dropped instead.
TOLERATED_ON_HUB = 0.01


def public_tasks(config: PromptConfig) -> dict[str, Task]:
    """The tasks of all public datasets by name; rows are read when examples are requested.

    Args:
        config: where the rows come from, and how they are rendered; without a folder they come from
            the hub.

    Raises:
        ValueError: `config.revisions` names an unknown dataset. `Task.examples` raises one line
            that names dataset, file, row, column and fix where rows are faulty.
    """
    if unknown := sorted(config.revisions.keys() - DATASETS.keys()):
        raise ValueError(
            f"tasks.revisions names {unknown[0]!r}, which is not a dataset; correct the name"
        )
    tasks = {}
    for name, dataset in DATASETS.items():
        public = PublicTask(dataset, config)
        tasks[name] = Task(
            name,
            dataset.title,
            dataset.kind,
            dataset.metric,
            dataset.describe,
            examples=public.examples,
            record=public.record,
        )
    return tasks


class PublicTask:
    """One public dataset with its rows, which are read at the first request."""

    def __init__(self, dataset: Dataset, config: PromptConfig) -> None:
        self.dataset = dataset
        self.config = config
        self._commit: str | None = None
        self._not_rendered: Counter = Counter()
        self._num_checked = self._num_overlapping = 0

    def examples(self, split: str, rows: int, seed: int) -> list[Example]:
        """The examples of the first `rows` rows of a split; training rows without near-duplicates.

        Args:
            split: train, validation or test.
            rows: number of rows, at most.
            seed: decides which template renders a row.

        Raises:
            ValueError: one line that names dataset, file, row, column and fix.
        """
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is not one of {', '.join(SPLITS)}")
        try:
            return self._render_rows(split, rows, seed)
        except ValueError as error:
            kind = HubUnreachableError if isinstance(error, HubUnreachableError) else ValueError
            raise kind(f"dataset {self.dataset.name}: {error}") from None

    def record(self) -> dict[str, Any]:
        """Where the rows came from and what was dropped, for task.json; after `examples`."""
        hub, config, dropped = self.dataset.hub, self.config, self._splits.dropped
        return {
            "folder": config.folder and str(config.folder / self.dataset.folder),
            "hub": {"repository": hub.repo, "configuration": hub.config},
            "revision": self._commit,
            "templates": {
                "source": config.templates,
                "mode": config.template_mode,
                "names": [template.name for template in self.templates],
            },
            "dropped": {
                **{key: dropped[key] for key in ("unusable", "repeated", "merged")},
                "not_rendered": self._not_rendered.total(),
            },
            "overlap": {
                "rule": config.overlap,
                "train_rows_checked": self._num_checked,
                "train_rows_found": self._num_overlapping,
            },
        }

    @cached_property
    def templates(self) -> list[PromptTemplate]:
        """The prompt templates."""
        return load_prompt_templates(
            self.dataset, self.config.templates, self.config.templates_folder
        )

    def _render_rows(self, split: str, rows: int, seed: int) -> list[Example]:
        rendered: list[Example] = []
        num_rows = self._not_rendered[split] = 0
        for row in self._train_rows() if split == "train" else iter(self._splits.rows[split]):
            if num_rows == rows:
                break
            examples = render_examples(row, self.templates, seed, self.config.template_mode)
            num_rows += bool(examples)
            self._not_rendered[split] += not examples
            rendered += examples
        if self._not_rendered[split] and not rendered:
            names = ", ".join(template.name for template in self.templates)
            raise ValueError(
                f"no {split} row can be rendered: each template ({names}) leaves its prompt, "
                f"answers or choices empty; fix the templates or use plain ones"
            )
        return rendered

    def _train_rows(self) -> Iterator[SplitRow]:
        """Training rows in order; those with an overlap are dropped, unless they are to be kept."""
        self._num_checked = self._num_overlapping = 0
        for row in self._splits.rows["train"]:
            overlaps = self._evaluation_ngrams.contains(self._texts(row))
            self._num_checked += 1
            self._num_overlapping += overlaps
            if not (overlaps and self.config.overlap == "drop"):
                yield row

    @cached_property
    def _evaluation_ngrams(self) -> NgramIndex:
        from mergescale.tasks.ngram_overlap import NgramIndex, words_with_underscores

        rows = self._splits.rows
        texts = (self._texts(row) for split in SPLITS[1:] for row in rows[split])
        return NgramIndex(texts, split_words=words_with_underscores)

    def _texts(self, row: SplitRow) -> list[str]:
        return self.dataset.texts(row.source[row.indices[0]].values)

    @cached_property
    def _splits(self) -> Splits:
        from mergescale.tasks.rows import Rows

        dataset, config = self.dataset, self.config
        if config.folder is None:
            revision = config.revisions.get(dataset.name, dataset.hub.revision)
            self._commit, files = fetch_from_hub(dataset, revision)
            origin, tolerated = f"{dataset.hub.repo} at {self._commit}", TOLERATED_ON_HUB
        else:
            origin, tolerated = str(config.folder / dataset.folder), 0.0
            files = find_in_folder(dataset, Path(origin))
        # promptsource's templates may use any column.
        columns = list(dataset.columns) if config.templates == "plain" else None
        rows = {split: Rows(of_split, columns) for split, of_split in files.items()}
        return read_splits(dataset, rows, origin, tolerated)
