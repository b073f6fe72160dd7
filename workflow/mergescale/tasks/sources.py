"""The sources of tasks, mixtures and corpora: micro world, local folder, Hugging Face hub.

Each source is imported only when it is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mergescale.messages import suggest
from mergescale.tasks.prompt_config import PromptConfig
from mergescale.tasks.task import Example, Task

if TYPE_CHECKING:
    from mergescale.tasks.mixtures.decontamination import Decontamination
    from mergescale.tasks.mixtures.readers import Reader

Source = Literal["micro", "folder", "hub"]
SOURCES: tuple[str, ...] = get_args(Source)


def load_tasks(source: str, prompts: PromptConfig | None = None) -> dict[str, Task]:
    """All tasks of a source by name.

    Args:
        source: `micro`, `folder` or `hub`.
        prompts: rows and prompt templates of public datasets; `prompts.folder` is required by the
            source `folder`.

    Raises:
        ValueError: the source is unknown, or requires a folder that is not given.
    """
    prompts = prompts or PromptConfig()
    if source == "micro":
        from mergescale.tasks.micro_world.evaluation import TASKS

        return TASKS
    if source in ("folder", "hub"):
        from mergescale.tasks.public.public_task import public_tasks

        folder = check_folder(prompts.folder, "tasks.folder") if source == "folder" else None
        return public_tasks(replace(prompts, folder=folder))
    raise ValueError(f"task source {source!r} is unknown; use one of {', '.join(SOURCES)}")


def load_task(source: str, name: str, prompts: PromptConfig | None = None) -> Task:
    """One task of a source; see `load_tasks`.

    Raises:
        ValueError: the source has no such task; the message lists those that it has.
    """
    tasks = load_tasks(source, prompts)
    if name in tasks:
        return tasks[name]
    raise ValueError(f"source {source!r} has no task {name!r}; {suggest(name, sorted(tasks))}")


def mixture_examples(
    source: str,
    rows: int,
    seed: int,
    decontamination: Decontamination | None = None,
    **location: str | Path | Mapping[str, str] | None,
) -> list[tuple[str, Example]]:
    """Examples of an instruction mixture, in random order.

    Args:
        source: `micro`, `folder` or `hub`.
        rows: number of examples, at most.
        seed: seed of what is sampled and of the order.
        decontamination: removes evaluation tasks and rows, and keeps a record; by default it goes
            by the names of tasks only. Rows that are removed from the micro world's mixture are not
            replaced.
        location: where the rows are; arguments of `mixture_reader`.

    Returns:
        (task name, example) pairs.
    """
    from mergescale.tasks.mixtures.decontamination import Decontamination

    decontamination = decontamination or Decontamination()
    if source == "micro":
        from mergescale.tasks.micro_world.mixture import mixture
        from mergescale.tasks.mixtures.readers import Batch

        left = decontamination.filter(Batch(mixture(rows, seed)))
        decontamination.note_sampled(Counter(task for task, _ in left), repeated=0)
        return left
    from mergescale.tasks.mixtures.sampling import sample_mixture

    reader = mixture_reader(source, seed, **location)
    return sample_mixture(reader, rows, seed, decontamination)


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
    """A function that reads all rows of a mixture's source each time it is called.

    Args:
        source: `folder` or `hub`.
        seed: decides which template renders a row of a folder.
        folder: JSON lines files, for the source `folder`.
        repo: dataset of the Hugging Face hub, for the source `hub`.
        revision: commit of `repo`.
        files: pattern of the files of `repo`; None for all.
        columns: names of the columns `input`, `target` and `task` of `repo`.

    Raises:
        ValueError: the source is unknown, an argument that it requires is missing, or the hub has
            no such dataset.
    """
    if source == "folder":
        from mergescale.tasks.mixtures.readers import read_folder

        return partial(read_folder, check_folder(folder, "mixture.folder"), seed)
    if source == "hub":
        from mergescale.tasks.mixtures import readers

        if not repo or not revision:
            raise ValueError(
                "mixture.repo and mixture.revision must name a dataset of the hub and one of its "
                "commits when the source is 'hub'"
            )
        paths = readers.find_files(readers.download(repo, revision, files), repo, files)
        return partial(readers.read_hub_files, paths, readers.Columns(**(columns or {})))
    raise ValueError(f"mixture source {source!r} is unknown; use one of {', '.join(SOURCES)}")


def corpus_documents(source: str, rows: int, seed: int) -> list[str]:
    """Documents of a pre-training corpus.

    Args:
        source: only `micro` has a corpus.
        rows: number of documents.
        seed: seed of the random numbers.

    Raises:
        ValueError: the source has no corpus.
    """
    if source != "micro":
        raise ValueError(
            f"source {source!r} has no pre-training corpus: give each size a checkpoint"
        )
    from mergescale.tasks.micro_world.corpus import corpus

    return corpus(rows, seed)


def check_folder(folder: Path | None, key: str) -> Path:
    """The folder that the source `folder` requires.

    Args:
        folder: the folder.
        key: its key in the configuration, for messages.

    Raises:
        ValueError: it is not given, or not a directory.
    """
    if folder is None:
        raise ValueError(f"{key} must name a folder when the source is 'folder'")
    if not folder.is_dir():
        raise ValueError(
            f"{key} is {str(folder)!r}, which is not a directory; name a folder of rows in the "
            f"layout of docs/extend/dataset.md, or use the source hub"
        )
    return folder
