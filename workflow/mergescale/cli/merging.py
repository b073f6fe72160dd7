"""Merging by hand: `merge`, `check` and `explain`, each from a recipe file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mergescale import timing
from mergescale.cli.arguments import positive, prepare_torch


def add_stages(stages: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    merge = stages.add_parser(
        "merge",
        parents=[common],
        help="merge models of any size by a recipe (YAML; mergekit's is understood)",
        description="Merge models by a recipe: base, experts, method and its parameters. A stopped "
        "merge goes on when it is called again; one that is already there is left alone. "
        "docs/merging.md describes recipes.",
    )
    _add_recipe(merge)
    merge.add_argument("out", type=Path, metavar="OUT", help="new folder (of folders, for several)")
    _add_resources(merge)
    merge.add_argument(
        "--kept",
        type=Path,
        metavar="FOLDER",
        help="where thresholds are kept for later merges (default: the user's cache)",
    )
    merge.add_argument(
        "--device", default="cpu", choices=["auto", "cpu", "cuda"], help="where to compute"
    )
    merge.set_defaults(run=_merge, goes_on=True, ends_in_order=True)

    check = stages.add_parser(
        "check",
        parents=[common],
        help="check a recipe's models by their headers: names, shapes, dtypes, tokenizers",
    )
    _add_recipe(check)
    check.set_defaults(run=_check)

    explain = stages.add_parser(
        "explain",
        parents=[common],
        help="say what a recipe computes, what it reads and writes, and its memory",
    )
    _add_recipe(explain)
    _add_resources(explain)
    explain.set_defaults(run=_explain)


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file")


def _add_resources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads",
        type=positive,
        help="pieces that are worked on at once (default: one for each core, fewer where memory "
        "is too little)",
    )
    parser.add_argument(
        "--memory-limit",
        default="500MB",
        metavar="SIZE",
        help="anonymous memory of the whole process, whatever the size of the models "
        "(default: 500MB)",
    )


def _merge(chosen: argparse.Namespace) -> None:
    from mergescale.merging.streaming.memory import parse_bytes
    from mergescale.merging.streaming.merge_folders import merge_models
    from mergescale.merging.streaming.recipe_file import read_recipe
    from mergescale.merging.streaming.work import estimate
    from mergescale.progress import ByteProgress

    memory = parse_bytes(chosen.memory_limit)
    recipe = read_recipe(chosen.recipe)
    device = prepare_torch(1, chosen.device)
    timing.started()
    merges = recipe.into(chosen.out)
    with ByteProgress(estimate(recipe).moved, "merge") as progress:
        done = merge_models(
            recipe.base,
            recipe.experts,
            merges,
            threads=chosen.threads,
            memory_limit=memory,
            device=device,
            kept=chosen.kept or _cache(),
            tokenizers=recipe.tokenizers,
            progress=progress.add,
        )
    for each in done:
        lost = each.record["lost_update"]
        notes = [f"{lost:.1%} of the moved entries lost in {each.record['dtype']}"] if lost else []
        notes += ["was there already"] if each.found else []
        print(f"{each.folder}" + (f" ({'; '.join(notes)})" if notes else ""))


def _check(chosen: argparse.Namespace) -> None:
    from mergescale.merging.streaming.check import check_recipe
    from mergescale.merging.streaming.recipe_file import read_recipe

    for line in check_recipe(read_recipe(chosen.recipe)):
        print(line)


def _explain(chosen: argparse.Namespace) -> None:
    from mergescale.merging.streaming.memory import parse_bytes
    from mergescale.merging.streaming.recipe_file import read_recipe
    from mergescale.merging.streaming.work import explain

    memory = parse_bytes(chosen.memory_limit)
    for line in explain(read_recipe(chosen.recipe), chosen.threads, memory):
        print(line)


def _cache() -> Path | None:
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return None
    return Path(home) / "mergescale" / "thresholds"
