"""Stages that make data: tasks, mixture, corpus, tokenizer, draws."""

from __future__ import annotations

import argparse
from pathlib import Path

from mergescale import timing
from mergescale.cli.arguments import add_categories, count, positive
from mergescale.cli.public_datasets import add_real_rows, real_settings


def add_stages(stages: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    task = stages.add_parser("task", parents=[common], help="write the files of one task")
    task.add_argument("name")
    task.add_argument("--source", required=True)
    add_real_rows(task)
    task.add_argument(
        "--held-out-task", action="store_true", help="it may be without training rows"
    )
    task.add_argument(
        "--rows", type=count, nargs=3, required=True, metavar=("TRAIN", "VAL", "TEST")
    )
    task.add_argument("--seed", type=int, default=0)
    task.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    task.set_defaults(run=_task)

    datasets = stages.add_parser(
        "datasets", parents=[common], help="print what there is of each dataset of the study"
    )
    datasets.add_argument("--source", required=True, choices=["folder", "hub"])
    add_real_rows(datasets)
    add_categories(datasets)
    datasets.set_defaults(run=_datasets)

    table = stages.add_parser("task-table", parents=[common], help="write tasks.csv")
    table.add_argument("--tasks", type=Path, required=True, metavar="FOLDER")
    add_categories(table)
    table.add_argument("--rows", type=int, required=True, help="test rows that are scored")
    table.add_argument("--out", type=Path, required=True, metavar="CSV")
    table.set_defaults(run=_task_table)

    for name, what in (("mixture", "instruction mixture"), ("corpus", "pre-training corpus")):
        data = stages.add_parser(name, parents=[common], help=f"write the {what}")
        data.add_argument("--source", required=True)
        if name == "mixture":
            _add_mixture(data)
        data.add_argument("--rows", type=positive if name == "mixture" else count, required=True)
        data.add_argument("--seed", type=int, default=0)
        data.add_argument("--out", type=Path, required=True, metavar="PARQUET")
        data.set_defaults(run=_mixture if name == "mixture" else _corpus)


def _add_mixture(mixture: argparse.ArgumentParser) -> None:
    mixture.description = (
        "Write an instruction mixture. From a folder or the hub, T0's tasks are left out, and rows "
        "that share words in a row with validation and test rows of --tasks; removed.csv and "
        "mixture.json beside the mixture tell what was removed."
    )
    mixture.add_argument("--folder", type=Path, help="source folder: JSON lines files")
    mixture.add_argument("--repo", help="source hub: a dataset of the Hugging Face hub")
    mixture.add_argument("--revision", help="source hub: a commit of it")
    mixture.add_argument("--files", metavar="PATTERN", help="source hub: which files (default all)")
    for column, default in (("input", "inputs"), ("target", "targets"), ("task", "task_name")):
        mixture.add_argument(
            f"--{column}-column",
            default=default,
            metavar="NAME",
            help=f"source hub: name of its column with the {column} (default: {default})",
        )
    mixture.add_argument(
        "--tasks",
        type=Path,
        nargs="*",
        default=[],
        metavar="FOLDER",
        help="a folder of task folders, or some of these, to keep evaluation rows out",
    )
    mixture.add_argument(
        "--ngram",
        type=positive,
        default=13,
        metavar="WORDS",
        help="words in a row that no row may share with them (default: 13)",
    )


def _task(chosen: argparse.Namespace) -> None:
    from mergescale.stages.task_files import make_task

    timing.started()
    rows = dict(zip(("train", "validation", "test"), chosen.rows, strict=True))
    make_task(
        chosen.out,
        chosen.name,
        source=chosen.source,
        folder=chosen.folder,
        rows=rows,
        seed=chosen.seed,
        held_out=chosen.held_out_task,
        settings=real_settings(chosen),
    )


def _datasets(chosen: argparse.Namespace) -> None:
    from mergescale.stages.datasets import dataset_table, groups_of_the_study

    timing.started()
    groups = {"held_in": chosen.held_in, "held_out": chosen.held_out}
    if not any(groups.values()):
        groups = groups_of_the_study()
    for line in dataset_table(groups, chosen.source, chosen.folder, real_settings(chosen)):
        print(line, flush=True)


def _task_table(chosen: argparse.Namespace) -> None:
    from mergescale.stages.task_files import write_task_table

    timing.started()
    roles = {
        task: (role, category)
        for role, groups in (("held_in", chosen.held_in), ("held_out", chosen.held_out))
        for category, tasks in groups
        for task in tasks
    }
    write_task_table(chosen.out, chosen.tasks, roles, chosen.rows)


def _mixture(chosen: argparse.Namespace) -> None:
    from mergescale.stages.task_files import make_mixture

    timing.started()
    hub = {"repo": chosen.repo, "revision": chosen.revision, "files": chosen.files}
    if chosen.source == "hub":
        columns = {name: getattr(chosen, f"{name}_column") for name in ("input", "target", "task")}
        hub["columns"] = columns
    make_mixture(
        chosen.out,
        source=chosen.source,
        folder=chosen.folder,
        rows=chosen.rows,
        seed=chosen.seed,
        tasks=chosen.tasks,
        ngram=chosen.ngram,
        **hub,
    )


def _corpus(chosen: argparse.Namespace) -> None:
    from mergescale.stages.task_files import make_corpus

    timing.started()
    make_corpus(chosen.out, source=chosen.source, rows=chosen.rows, seed=chosen.seed)
