"""Write the train, validation and test examples of a task.

The folder gets train.parquet, validation.parquet, test.parquet (`mergescale.tasks.example_files`)
and task.json: kind, metric, chance level, numbers of rows, and where they come from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from mergescale import timing
from mergescale.argument_types import POSITIONAL, Count
from mergescale.tasks.prompt_config import PromptConfig
from mergescale.tasks.sources import Source, load_task
from mergescale.tasks.task import SPLITS, chance_level


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    name: Annotated[str, "name of the task", POSITIONAL]
    source: Annotated[Source, "where its rows come from"]
    rows: Annotated[
        tuple[Count, Count, Count], "maximum numbers of train, validation and test rows"
    ]
    out: Annotated[Path, "folder of the task's files"]
    seed: Annotated[int, "seed of the examples"] = 0
    held_out_task: Annotated[bool, "the task needs no training rows"] = False
    prompts: PromptConfig = field(default_factory=PromptConfig)


def run(args: Arguments) -> None:
    """Write the task's files.

    Raises:
        ValueError: the source has no such task, a split is empty, or an id occurs twice.
    """
    from mergescale.provenance.atomic import write_json
    from mergescale.tasks.example_files import write_examples

    timing.started()
    task = load_task(args.source, args.name, args.prompts)
    splits = {
        split: task.examples(split, rows, args.seed)
        for split, rows in zip(SPLITS, args.rows, strict=True)
    }
    for split, examples in splits.items():
        if not examples and split == "train" and not args.held_out_task:
            raise ValueError(
                f"task {task.name} has no train rows in source {args.source!r}, so no expert can "
                f"be trained on it; give it some, or list it under tasks.held_out"
            )
        if not examples and split != "train":
            raise ValueError(f"task {task.name} has no {split} rows in source {args.source!r}")
    ids = [example.id for examples in splits.values() for example in examples]
    if len(set(ids)) < len(ids):
        raise ValueError(f"task {task.name}: the id of an example occurs twice")
    for split, examples in splits.items():
        write_examples(args.out / f"{split}.parquet", examples)
    write_json(
        args.out / "task.json",
        {
            "name": task.name,
            "title": task.title,
            "kind": task.kind,
            "metric": task.metric,
            "describe": task.describe,
            "chance": round(chance_level(splits["test"]), 6),
            "rows": {split: len({e.row for e in examples}) for split, examples in splits.items()},
            "source": args.source,
            "seed": args.seed,
            **task.record(),
        },
    )
