"""Where tasks come from: the micro world, a local folder of real rows, or the Hugging Face hub."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mergescale.tasks.task import Example, Task

SOURCES = ("micro", "folder", "hub")
MIXTURE_SOURCES = ("micro", "jsonl")


def tasks_of(source: str, folder: Path | None = None, **settings: Any) -> dict[str, Task]:
    """All tasks of a source by name.

    Args:
        folder: folder of the real rows, for the source `folder`.
        settings: further fields of `mergescale.tasks.real.Settings`, for real datasets.

    Raises:
        ValueError: the source is unknown, or needs a folder and got none.
    """
    if source == "micro":
        from mergescale.tasks.micro import TASKS

        return TASKS
    if source in ("folder", "hub"):
        from mergescale.tasks.real import Settings, tasks_in

        place = _needed(folder, "tasks.folder", source) if source == "folder" else None
        return tasks_in(Settings(folder=place, **settings))
    raise ValueError(f"task source {source!r} is unknown; there are: {', '.join(SOURCES)}")


def task_of(source: str, name: str, folder: Path | None = None, **settings: Any) -> Task:
    """One task of a source; the arguments are those of `tasks_of`.

    Raises:
        ValueError: the source has no such task; the message lists those it has.
    """
    tasks = tasks_of(source, folder, **settings)
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

        return mixture(_needed(folder, "mixture.folder", source), rows, seed)
    raise ValueError(
        f"mixture source {source!r} is unknown; there are: {', '.join(MIXTURE_SOURCES)}"
    )


def corpus_documents(source: str, rows: int, seed: int) -> list[str]:
    """`rows` documents of pre-training text."""
    if source != "micro":
        raise ValueError(
            f"source {source!r} has no pre-training corpus: give each size a checkpoint"
        )
    from mergescale.tasks.micro.corpus import corpus

    return corpus(rows, seed)


def _needed(folder: Path | None, key: str, source: str) -> Path:
    if folder is None:
        raise ValueError(f"{key} must name a folder when the source is {source!r}")
    if not folder.is_dir():
        raise ValueError(f"{key} is {str(folder)!r}, which is not a folder")
    return folder
