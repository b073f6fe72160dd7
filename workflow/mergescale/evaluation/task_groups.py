"""The tasks of a study as they are scored: which rows of which split, in which category."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from errno import ENOENT
from pathlib import Path

from mergescale.evaluation.metrics import GENERATION_METRICS, RANK_METRICS
from mergescale.evaluation.requests import EncodedTask
from mergescale.provenance.digests import record_digest
from mergescale.tasks.example_files import read_examples, subset
from mergescale.tasks.task import KINDS, Example


@dataclass(frozen=True)
class Category:
    """A task category: two datasets in the paper, one unit of merging and of aggregation.

    Attributes:
        name: e.g. `sentiment`.
        role: `held_in` or `held_out`.
        tasks: names of its tasks.
    """

    name: str
    role: str
    tasks: tuple[str, ...]


def load_task(folder: Path, task: str, split: str, rows: int) -> EncodedTask:
    """The `rows` examples of a split with the lowest hashes, and how the task is scored.

    Raises:
        FileNotFoundError: the task has no files.
        ValueError: a file cannot be read, the split is empty, kind or metric are unknown, or an
            example lacks what its kind needs; the message names the file.
    """
    description = folder / task / "task.json"
    about = _read_description(description)
    path = folder / task / f"{split}.parquet"
    examples = tuple(subset(_readable(path), rows))
    if not examples:
        raise ValueError(f"{path}: no rows; a task needs rows in each split")
    ranked = about["kind"] == "rank"
    allowed = RANK_METRICS if ranked else tuple(GENERATION_METRICS)
    if about["metric"] not in allowed:
        raise ValueError(
            f"{description}: metric {about['metric']!r} does not fit kind {about['kind']!r}; "
            f"allowed: {', '.join(allowed)}"
        )
    for example in examples:
        if not (example.choices if ranked else example.references):
            needed = "choices to rank" if ranked else "references to compare with"
            raise ValueError(f"{path}: example {example.id} has no {needed}")
    digest = record_digest([asdict(e) for e in examples])
    return EncodedTask(task, about["kind"], about["metric"], digest, examples)


def _readable(path: Path) -> list[Example]:
    """The examples of a task file, every field of its type."""
    if not path.is_file():
        raise FileNotFoundError(ENOENT, "no such file", str(path))
    try:
        examples = read_examples(path)
    # pyarrow's errors are ValueErrors, KeyErrors and OSErrors; a faulty example is a ValueError.
    except (ValueError, OSError, TypeError) as error:
        said = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {said}; write the task again") from None
    for number, example in enumerate(examples, start=1):
        texts = (example.id, example.template, example.input, example.target)
        if not all(isinstance(t, str) for t in (*texts, *example.choices, *example.references)):
            raise ValueError(
                f"{path}, row {number}: id, template, input, target, choices and references must "
                f"be text; write the task again"
            )
    return examples


def _read_description(path: Path) -> dict:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["kind"] in KINDS and about["metric"]:
            return about
        raise ValueError(f"kind {about['kind']!r} is not one of {', '.join(KINDS)}")
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} does not describe a task: {error}") from error


def load_groups(
    folder: Path, categories: Sequence[Category], split: str, rows: int
) -> list[tuple[EncodedTask, ...]]:
    """One group of tasks for each category: the unit that is batched and kept together."""
    return [
        tuple(load_task(folder, task, split, rows) for task in category.tasks)
        for category in categories
    ]


def macro_average(scores: Mapping[str, float], categories: Sequence[Category]) -> float:
    """Mean over the datasets of each category, then over the categories."""
    means = [sum(scores[t] for t in c.tasks) / len(c.tasks) for c in categories]
    return round(sum(means) / len(means), 6)
