"""Stages that make data: tasks, mixture, corpus, tokenizer, draws."""

from __future__ import annotations

import argparse
from pathlib import Path

from mergescale import timing
from mergescale.cli.arguments import add_categories


def add_stages(stages: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    task = stages.add_parser("task", parents=[common], help="write the files of one task")
    task.add_argument("name")
    task.add_argument("--source", required=True)
    task.add_argument("--folder", type=Path, help="rows of local tasks")
    task.add_argument("--rows", type=int, nargs=3, required=True, metavar=("TRAIN", "VAL", "TEST"))
    task.add_argument("--seed", type=int, default=0)
    task.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    task.set_defaults(run=_task)

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
            data.add_argument("--folder", type=Path, help="rows of a local mixture")
        data.add_argument("--rows", type=int, required=True)
        data.add_argument("--seed", type=int, default=0)
        data.add_argument("--out", type=Path, required=True, metavar="PARQUET")
        data.set_defaults(run=_mixture if name == "mixture" else _corpus)

    draws = stages.add_parser("draws", parents=[common], help="write draws.csv")
    draws.add_argument("--counts", type=int, nargs="+", required=True)
    draws.add_argument("--seeds", type=int, nargs="+", required=True)
    draws.add_argument("--categories", nargs="+", required=True)
    draws.add_argument("--out", type=Path, required=True, metavar="CSV")
    draws.set_defaults(run=_draws)


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
    )


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
    make_mixture(
        chosen.out,
        source=chosen.source,
        folder=chosen.folder,
        rows=chosen.rows,
        seed=chosen.seed,
    )


def _corpus(chosen: argparse.Namespace) -> None:
    from mergescale.stages.task_files import make_corpus

    timing.started()
    make_corpus(chosen.out, source=chosen.source, rows=chosen.rows, seed=chosen.seed)


def _draws(chosen: argparse.Namespace) -> None:
    from mergescale.stages.draws import write_draws

    timing.started()
    write_draws(chosen.out, chosen.counts, chosen.seeds, chosen.categories)
