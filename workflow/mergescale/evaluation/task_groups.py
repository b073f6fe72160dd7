"""Tasks as they are scored: the examples of each task of a category, read from task files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from errno import ENOENT
from pathlib import Path

from mergescale.evaluation.metrics import GENERATION_METRICS, RANK_METRICS
from mergescale.evaluation.requests import EvalTask
from mergescale.provenance.digests import record_digest
from mergescale.tasks.example_files import read_examples, subset
from mergescale.tasks.task import KINDS, Example


@dataclass(frozen=True)
class Category:
    """A category of tasks (two datasets each in the paper), the unit of merging and averaging.

    Attributes:
        name: for example `sentiment`.
        role: `held_in` or `held_out`.
        tasks: names of its tasks.
    """

    name: str
    role: str
    tasks: tuple[str, ...]


def load_groups(
    folder: Path, categories: Sequence[Category], split: str, rows: int
) -> list[tuple[EvalTask, ...]]:
    """Load one group of tasks per category: the unit that is batched and cached together."""
    return [
        tuple(load_task(folder, task, split, rows) for task in category.tasks)
        for category in categories
    ]


def load_task(folder: Path, task: str, split: str, rows: int) -> EvalTask:
    """Load a task with the examples of the `rows` rows of a split that have the lowest hashes.

    Args:
        folder: the folder of task files.
        task: the task's name.
        split: `validation` or `test`.
        rows: maximum number of rows.

    Raises:
        FileNotFoundError: the task has no files.
        ValueError: a file is damaged, the split is empty, kind or metric are unknown, or an example
            lacks what its kind needs; the message names the file.
    """
    description_path = folder / task / "task.json"
    description = _read_description(description_path)
    path = folder / task / f"{split}.parquet"
    examples = tuple(subset(_read_examples(path), rows))
    if not examples:
        raise ValueError(f"{path} has no rows; a task needs rows in each split")
    kind, metric = description["kind"], description["metric"]
    allowed = RANK_METRICS if kind == "rank" else GENERATION_METRICS
    if metric not in allowed:
        raise ValueError(
            f"{description_path}: metric {metric!r} does not fit kind {kind!r}; "
            f"allowed: {', '.join(allowed)}"
        )
    for example in examples:
        if not (example.choices if kind == "rank" else example.references):
            needed = "choices" if kind == "rank" else "references"
            raise ValueError(f"{path}: example {example.id} has no {needed}")
    digest = record_digest([asdict(e) for e in examples])
    return EvalTask(task, kind, metric, digest, examples)


def macro_average(scores: Mapping[str, float], categories: Sequence[Category]) -> float:
    """The mean over the datasets of each category, then over the categories, to 6 decimals."""
    means = [sum(scores[t] for t in c.tasks) / len(c.tasks) for c in categories]
    return round(sum(means) / len(means), 6)


def _read_examples(path: Path) -> list[Example]:
    """The examples of a task file, with the type of every field checked."""
    if not path.is_file():
        raise FileNotFoundError(ENOENT, "no such file", str(path))
    try:
        examples = read_examples(path)
    # pyarrow's errors are ValueErrors, KeyErrors and OSErrors; a faulty example is a ValueError.
    except (ValueError, OSError, TypeError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path}: {reason}; write the task again") from None
    for number, example in enumerate(examples, start=1):
        texts = (example.id, example.template, example.input, example.target)
        if not all(isinstance(t, str) for t in (*texts, *example.choices, *example.references)):
            raise ValueError(
                f"{path}, row {number}: id, template, input, target, choices and references must "
                f"be text; write the task again"
            )
    return examples


def _read_description(path: Path) -> dict:
    """The content of task.json, with kind and metric checked to be there."""
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        if description["kind"] in KINDS and description["metric"]:
            return description
        raise ValueError(f"kind {description['kind']!r} is not one of {', '.join(KINDS)}")
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} does not describe a task: {error}") from error
