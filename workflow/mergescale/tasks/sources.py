"""Where tasks come from: the micro world, or folders of JSON lines in the hub's columns."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from mergescale.tasks.task import Example, Task

SOURCES = ("micro", "jsonl")


def tasks_of(source: str, folder: Path | None = None) -> dict[str, Task]:
    """All tasks of a source by name.

    Raises:
        ValueError: the source is unknown, or needs a folder and got none.
    """
    if source == "micro":
        from mergescale.tasks.micro import TASKS

        return TASKS
    if source == "jsonl":
        from mergescale.tasks.real import tasks_in

        return tasks_in(_needed(folder, "tasks.folder"))
    raise ValueError(f"task source {source!r} is unknown; there are: {', '.join(SOURCES)}")


def task_of(source: str, name: str, folder: Path | None = None) -> Task:
    """One task of a source.

    Raises:
        ValueError: the source has no such task; the message lists those it has.
    """
    tasks = tasks_of(source, folder)
    if name in tasks:
        return tasks[name]
    close = get_close_matches(name, tasks, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"source {source!r} has no task {name!r}{hint}; it has: {', '.join(sorted(tasks))}"
    )


def mixture_examples(
    source: str, rows: int, seed: int, folder: Path | None = None
) -> list[tuple[str, Example]]:
    """`rows` examples of the instruction mixture, each with its task's name, in random order."""
    if source == "micro":
        from mergescale.tasks.micro.mixture import mixture

        return mixture(rows, seed)
    if source == "jsonl":
        from mergescale.tasks.real.mixture import mixture

        return mixture(_needed(folder, "mixture.folder"), rows, seed)
    raise ValueError(f"mixture source {source!r} is unknown; there are: {', '.join(SOURCES)}")


def corpus_documents(source: str, rows: int, seed: int) -> list[str]:
    """`rows` documents of pre-training text."""
    if source != "micro":
        raise ValueError(
            f"source {source!r} has no pre-training corpus: give each size a checkpoint"
        )
    from mergescale.tasks.micro.corpus import corpus

    return corpus(rows, seed)


def _needed(folder: Path | None, key: str) -> Path:
    if folder is None:
        raise ValueError(f"{key} must name a folder when the source is 'jsonl'")
    if not folder.is_dir():
        raise ValueError(f"{key} is {str(folder)!r}, which is not a folder")
    return folder
