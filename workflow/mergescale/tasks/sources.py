"""Where tasks come from: the micro world, a local folder of real rows, or the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergescale.messages import did_you_mean, join_names
from mergescale.tasks.task import Example, Task

if TYPE_CHECKING:
    from mergescale.tasks.mixtures.decontamination import Decontamination
    from mergescale.tasks.mixtures.example_batches import Reader

SOURCES = ("micro", "folder", "hub")


def tasks_of(source: str, folder: Path | None = None, **settings: Any) -> dict[str, Task]:
    """All tasks of a source by name.

    Args:
        folder: folder of the real rows, for the source `folder`.
        settings: further fields of `mergescale.tasks.public.Settings`, for real datasets.

    Raises:
        ValueError: the source is unknown, or needs a folder and got none.
    """
    if source == "micro":
        from mergescale.tasks.micro_world.evaluation import TASKS

        return TASKS
    if source in ("folder", "hub"):
        from mergescale.tasks.public import Settings, tasks_in

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
    raise ValueError(
        f"source {source!r} has no task {name!r}{did_you_mean(name, tasks)}; "
        f"it has: {join_names(sorted(tasks))}"
    )


def mixture_examples(
    source: str, rows: int, seed: int, clean: Decontamination | None = None, **place: Any
) -> list[tuple[str, Example]]:
    """`rows` examples of the instruction mixture, each with its task's name, in random order.

    Args:
        clean: what removes evaluation tasks and rows from the real sources, and keeps the record;
            by default it goes by the names of tasks only.
        place: where the real sources are, as in `mixture_reader`.
    """
    if source == "micro":
        from mergescale.tasks.micro_world.mixture import mixture

        return mixture(rows, seed)
    from mergescale.tasks.mixtures.decontamination import Decontamination
    from mergescale.tasks.mixtures.sampling import draw

    return draw(mixture_reader(source, seed, **place), rows, seed, clean or Decontamination())


def mixture_reader(
    source: str,
    seed: int,
    *,
    folder: Path | None = None,
    repo: str | None = None,
    revision: str | None = None,
    files: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Reader:
    """Reads the rows of a real mixture, again each time it is called.

    Args:
        folder: JSON lines files, for the source `folder`.
        repo: dataset of the Hugging Face hub, for the source `hub`.
        revision: the commit of `repo`.
        files: pattern of the files of `repo`; None for all.
        columns: names of the columns `input`, `target` and `task` of `repo`.

    Raises:
        ValueError: the source is unknown, what it needs is not given, or the hub gives it not.
    """
    if source == "folder":
        from mergescale.tasks.mixtures.folder_source import read_folder

        return partial(read_folder, _needed(folder, "mixture.folder", source), seed)
    if source == "hub":
        from mergescale.tasks.mixtures import hub_source as hub

        if not repo or not revision:
            raise ValueError(
                "mixture.repo and mixture.revision must name a dataset of the hub and one of its "
                "commits when the source is 'hub'"
            )
        paths = hub.files_of(hub.download(repo, revision, files), repo, files)
        return partial(hub.read_files, paths, hub.Columns(**(columns or {})))
    raise ValueError(f"mixture source {source!r} is unknown; there are: {', '.join(SOURCES)}")


def corpus_documents(source: str, rows: int, seed: int) -> list[str]:
    """`rows` documents of pre-training text."""
    if source != "micro":
        raise ValueError(
            f"source {source!r} has no pre-training corpus: give each size a checkpoint"
        )
    from mergescale.tasks.micro_world.corpus import corpus

    return corpus(rows, seed)


def _needed(folder: Path | None, key: str, source: str) -> Path:
    if folder is None:
        raise ValueError(f"{key} must name a folder when the source is {source!r}")
    if not folder.is_dir():
        raise ValueError(f"{key} is {str(folder)!r}, which is not a folder")
    return folder
