"""List the public datasets of the study: rows, templates, metric and chance level.

The rows of each dataset are read and checked on the way; where that fails, its line has the reason.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from mergescale import timing
from mergescale.stages.shared_arguments import CategoryArguments
from mergescale.tasks.prompt_config import PromptConfig
from mergescale.tasks.public.row_files import HubUnreachableError
from mergescale.tasks.sources import load_tasks
from mergescale.tasks.task import SPLITS, Task, chance_level

EPILOG = """\
examples:
  mergescale datasets --source folder --folder rows
  mergescale datasets --source hub --held-out nli=anli,rte
"""
COLUMNS = ("dataset", "role", "category", *SPLITS, "templates", "metric", "chance")
ALL_ROWS = 2**62
# The width of a table that is not printed to a terminal: no reason is wrapped.
_UNLIMITED = 10_000


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command."""

    source: Annotated[Literal["folder", "hub"], "where the rows come from"]
    prompts: PromptConfig = field(default_factory=PromptConfig)
    categories: CategoryArguments = field(default_factory=CategoryArguments)


def run(args: Arguments) -> None:
    """Print the table; by default, of all datasets of the study."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    timing.started()
    tasks = load_tasks(args.source, args.prompts)
    groups = {"held_in": args.categories.held_in, "held_out": args.categories.held_out}
    table = Table(box=box.SIMPLE_HEAD)
    for name in COLUMNS:
        numeric = name in (*SPLITS, "templates", "chance")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    faults = []
    for role, category, name in _listed(groups if any(groups.values()) else study_groups()):
        if name not in tasks:
            raise ValueError(f"source {args.source!r} has no dataset {name!r}")
        print(f"reading {name} ...", file=sys.stderr)
        try:
            table.add_row(name, role, category, *describe_rows(tasks[name]))
        except HubUnreachableError:
            raise  # each further dataset would wait for the network in vain
        except ValueError as error:
            table.add_row(name, role, category, "not usable, see below")
            faults.append(" ".join(str(error).split()))
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else _UNLIMITED, highlight=False, markup=False)
    console.print(table)
    for fault in faults:
        console.print(fault)
    if faults and len(faults) == table.row_count:
        raise ValueError("no dataset is usable; the reasons are above")


def study_groups() -> dict[str, list[tuple[str, list[str]]]]:
    """The categories of the default study with their datasets, by role."""
    from mergescale.config.data import Tasks

    tasks = Tasks()
    return {"held_in": list(tasks.held_in.items()), "held_out": list(tasks.held_out.items())}


def _listed(
    groups: dict[str, Sequence[tuple[str, Sequence[str]]]],
) -> Iterator[tuple[str, str, str]]:
    """(role, category, dataset) of each dataset."""
    for role, categories in groups.items():
        for category, names in categories:
            for name in names:
                yield role, category, name


def describe_rows(task: Task) -> list[str]:
    """The cells of a task's line: rows of each split, templates, metric, chance level.

    Raises:
        ValueError: the rows cannot be read.
    """
    splits: dict[str, Any] = {split: task.examples(split, ALL_ROWS, 0) for split in SPLITS}
    rows = [str(len({example.row for example in splits[split]})) for split in SPLITS]
    templates = task.record()["templates"]["names"]
    chance = f"{chance_level(splits['test']):.3f}" if task.kind == "rank" else "-"
    return [*rows, str(len(templates)), task.metric, chance]
