"""What a source has of each dataset of the study: rows, templates, metric and chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mergescale.stages.task_files import chance
from mergescale.tasks.sources import task_of
from mergescale.tasks.task import SPLITS

COLUMNS = (
    ("dataset", 16),
    ("role", 9),
    ("category", 28),
    *((split, 11) for split in SPLITS),
    ("templates", 10),
    ("metric", 12),
    ("chance", 6),
)
ALL_ROWS = 2**62

Groups = Mapping[str, Sequence[tuple[str, Sequence[str]]]]


def groups_of_the_study() -> dict[str, list[tuple[str, list[str]]]]:
    """The categories of the default study with their datasets, by role."""
    from mergescale.config.model import Tasks

    tasks = Tasks()
    return {"held_in": list(tasks.held_in.items()), "held_out": list(tasks.held_out.items())}


def dataset_table(
    groups: Groups, source: str, folder: Path | None, settings: Mapping[str, Any]
) -> Iterator[str]:
    """The table's lines, each as soon as its dataset was read; absent rows leave their reason."""
    yield _line([name for name, _ in COLUMNS])
    for role, categories in groups.items():
        for category, names in categories:
            for name in names:
                task = task_of(source, name, folder, **settings)
                cells = [name, role, category]
                try:
                    splits = {split: task.examples(split, ALL_ROWS, 0) for split in SPLITS}
                except ValueError as error:
                    yield f"{_line(cells)}  {' '.join(str(error).split())}"
                    continue
                cells += [str(len({e.row for e in splits[split]})) for split in SPLITS]
                templates = task.record()["templates"]["names"]
                guess = f"{chance(splits['test']):.3f}" if task.kind == "rank" else "-"
                yield _line([*cells, str(len(templates)), task.metric, guess])


def _line(cells: Sequence[str]) -> str:
    padded = (cell.ljust(width) for cell, (_, width) in zip(cells, COLUMNS, strict=False))
    return "".join(padded).rstrip()
