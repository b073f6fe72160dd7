"""Write the test examples of a few tasks, for evaluation without a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mergescale.provenance.atomic import write_json
from mergescale.tasks.prompt_config import PromptConfig
from mergescale.tasks.sources import load_task


def write_test_tasks(
    out: Path,
    names: Sequence[str],
    *,
    source: str,
    rows: int,
    seed: int,
    prompts: PromptConfig | None = None,
) -> None:
    """Write `test.parquet` and `task.json` of each task into a folder of its name under `out`.

    Rows are those of the split `test`, or of `validation` where a dataset publishes no test labels.

    Args:
        out: folder of task files.
        names: names of the tasks.
        source: `micro`, `folder` or `hub`.
        rows: maximum number of rows of each task.
        seed: seed of the rows' order.
        prompts: rows and prompt templates of public datasets.

    Raises:
        ValueError: no task is named, the source has no such task, or the task has no rows.
    """
    from mergescale.tasks.example_files import write_examples

    if not names:
        raise ValueError("nothing to evaluate: --tasks has no name of a task")
    # Resolve all names first, as reading rows may take long.
    for task in [load_task(source, name, prompts) for name in names]:
        for split in ("test", "validation"):
            if examples := task.examples(split, rows, seed):
                break
        else:
            raise ValueError(f"task {task.name} has no test or validation rows in {source!r}")
        write_examples(out / task.name / "test.parquet", examples)
        about = {"name": task.name, "kind": task.kind, "metric": task.metric, "split": split}
        write_json(out / task.name / "task.json", about)
