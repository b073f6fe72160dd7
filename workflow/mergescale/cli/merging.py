"""Merging by hand: `merge`, `check` and `explain`, each from a recipe file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from mergescale import timing
from mergescale.cli.arguments import positive, prepare_torch

if TYPE_CHECKING:
    from mergescale.merging.engine.merge_spec import Merge
    from mergescale.merging.engine.run import Done

_EXAMPLE = """\
a recipe (docs/merging.md has all keys):

  base: models/llama
  experts: {math: models/llama-math, code: models/llama-code}
  method: ties
  density: 0.2
  lambda: 0.5
  dtype: bfloat16
"""


def add_stages(stages: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    merge = _add(
        stages,
        common,
        "merge",
        help="merge models of any size by a recipe (YAML; mergekit's is understood)",
        description="Merge models by a recipe. The folder OUT appears when it is whole; a merge "
        "that was stopped goes on when it is called again, and one that is already there is left "
        "alone.",
    )
    merge.add_argument(
        "out", type=Path, metavar="OUT", help="the new folder; of several merges, one for all"
    )
    _add_resources(merge)
    merge.add_argument(
        "--kept",
        type=Path,
        metavar="FOLDER",
        help="where thresholds are kept for later merges (default: the user's cache)",
    )
    merge.add_argument(
        "--no-sync",
        dest="sync",
        action="store_false",
        help="end without waiting until the disk holds the result, as most tools do; it is lost or "
        "damaged if the machine itself goes down in the next minute",
    )
    merge.add_argument(
        "--device",
        default="cpu",
        choices=["auto", "cpu", "cuda"],
        help="where to compute; auto takes a GPU where there is one (default: cpu)",
    )
    merge.set_defaults(run=_merge, goes_on=True, ends_in_order=True)

    check = _add(
        stages,
        common,
        "check",
        help="check a recipe's models by their headers: names, shapes, dtypes, tokenizers",
        description="Check that the models of a recipe can be merged: names, shapes, dtypes and "
        "tokenizers. Only headers and small files are read, which takes seconds at any size; NaN "
        "and infinity show in the merge.",
    )
    check.set_defaults(run=_check)

    explain = _add(
        stages,
        common,
        "explain",
        help="say what a recipe computes, what it reads and writes, and its memory",
        description="Say what a recipe computes and with which settings, how many bytes it reads "
        "and writes, and how much memory it takes. Nothing is written.",
    )
    _add_resources(explain)
    explain.set_defaults(run=_explain)


def _add(
    stages: argparse._SubParsersAction, common: argparse.ArgumentParser, name: str, **about: str
) -> argparse.ArgumentParser:
    """A command that gets a recipe."""
    parser = stages.add_parser(
        name,
        parents=[common],
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **about | {"description": fill(about["description"], 79)},
    )
    parser.add_argument(
        "recipe",
        type=Path,
        metavar="RECIPE",
        help="a YAML file as below; mergekit's is understood too",
    )
    return parser


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
        help="memory of the whole process, whatever the size of the models: 500MB, 2GiB, ... "
        "(default: 500MB; files that the system caches are no part of it)",
    )


def _merge(chosen: argparse.Namespace) -> None:
    from mergescale.merging.engine.estimate import estimate
    from mergescale.merging.engine.memory import parse_bytes
    from mergescale.merging.engine.run import run_merges
    from mergescale.merging.recipes.recipe import read_recipe
    from mergescale.progress import ByteProgress

    memory = parse_bytes(chosen.memory_limit)
    recipe = read_recipe(chosen.recipe)
    device = prepare_torch(1, chosen.device)
    timing.started()
    merges = recipe.into(chosen.out)
    with ByteProgress(estimate(recipe).moved, "merge") as progress:
        done = run_merges(
            recipe.base,
            recipe.experts,
            merges,
            threads=chosen.threads,
            memory_limit=memory,
            device=device,
            kept=chosen.kept or _cache(),
            tokenizers=recipe.tokenizers,
            sync=chosen.sync,
            progress=progress.add,
            spared=progress.spare,
        )
    for line in _table(merges, done):
        print(line)
    if not all(each.found for each in done):
        print(progress.summary(), file=sys.stderr)


def _table(merges: Sequence[Merge], done: Sequence[Done]) -> list[str]:
    """What was made, a line each under a head."""
    from mergescale.merging.engine.memory import format_bytes

    rows = [("folder", "method", "lambda", "dtype", "size", "")]
    for merge, each in zip(merges, done, strict=True):
        lost, dtype = each.record["rounded_away_fraction"], each.record["dtype"]
        notes = [f"{lost:.1%} of the moved entries lost in {dtype}"] if lost else []
        notes += ["was there already"] if each.found else []
        size = sum(file.stat().st_size for file in each.folder.glob("*.safetensors"))
        rows.append(
            (
                str(each.folder),
                merge.method.title,
                f"{merge.lam:g}",
                dtype,
                format_bytes(size),
                "; ".join(notes),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _check(chosen: argparse.Namespace) -> None:
    from mergescale.merging.engine.check import check_recipe
    from mergescale.merging.recipes.recipe import read_recipe

    for line in check_recipe(read_recipe(chosen.recipe)):
        print(line)


def _explain(chosen: argparse.Namespace) -> None:
    from mergescale.merging.engine.estimate import explain
    from mergescale.merging.engine.memory import parse_bytes
    from mergescale.merging.recipes.recipe import read_recipe

    memory = parse_bytes(chosen.memory_limit)
    for line in explain(read_recipe(chosen.recipe), chosen.threads, memory):
        print(line)


def _cache() -> Path | None:
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return None
    return Path(home) / "mergescale" / "thresholds"
