"""Merge models of any size by a recipe (YAML; mergekit's is supported too).

The new folder appears when it is complete. An interrupted merge resumes when the same command runs
again, and a merge that exists already is skipped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mergescale import timing
from mergescale.argument_types import POSITIONAL
from mergescale.cli.recipe_arguments import EPILOG, RecipeArgument, Resources

if TYPE_CHECKING:
    from mergescale.merging.engine.merge_spec import Merge
    from mergescale.merging.engine.run import MergeResult

__all__ = ["EPILOG", "HANDLES_SIGTERM", "RESUMABLE", "Arguments", "run"]

RESUMABLE = True
HANDLES_SIGTERM = True


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command."""

    recipe: RecipeArgument
    out: Annotated[
        Path, "the new folder; for a recipe with several merges, their common parent", POSITIONAL
    ]
    resources: Resources
    cache_dir: Annotated[
        Path | None, "where thresholds are cached for later merges (default: the user's cache)"
    ] = None
    sync: Annotated[
        bool,
        "do not wait until the result is on the disk; a power loss within about a minute can then "
        "damage it, killing the process never does",
    ] = True
    device: Annotated[
        Literal["auto", "cpu", "cuda"], "where to compute; auto uses a GPU if there is one"
    ] = "cpu"


def run(args: Arguments) -> None:
    """Merge, and print a table of what was made."""
    from mergescale.merging.engine.estimate import estimate_folders
    from mergescale.merging.engine.memory import parse_bytes
    from mergescale.merging.engine.run import run_merges
    from mergescale.merging.recipes.recipe import read_recipe
    from mergescale.models.device import prepare_torch
    from mergescale.progress import ByteProgress

    memory = parse_bytes(args.resources.memory_limit)
    recipe = read_recipe(args.recipe.recipe)
    device = prepare_torch(1, args.device)
    timing.started()
    merges = recipe.into(args.out)
    total = estimate_folders(recipe.base, recipe.experts, recipe.merges).moved
    with ByteProgress(total, "merge") as progress:
        results = run_merges(
            recipe.base,
            recipe.experts,
            merges,
            threads=args.resources.threads,
            memory_limit=memory,
            device=device,
            cache_dir=args.cache_dir or _default_cache_dir(),
            tokenizers=recipe.tokenizers,
            sync=args.sync,
            on_progress=progress.add,
            on_skipped=progress.skip,
        )
    for line in _format_table(merges, results):
        print(line)
    if not all(result.existed for result in results):
        print(progress.summary(), file=sys.stderr)


def _format_table(merges: Sequence[Merge], results: Sequence[MergeResult]) -> list[str]:
    """A header and a line for each merge."""
    from mergescale.progress import format_bytes

    rows = [("folder", "method", "lambda", "dtype", "size", "")]
    for merge, result in zip(merges, results, strict=True):
        fraction, dtype = result.record["rounded_away_fraction"], result.record["dtype"]
        notes = [f"{fraction:.1%} of the updates rounded away in {dtype}"] if fraction else []
        notes += ["already exists, skipped"] if result.existed else []
        size = sum(file.stat().st_size for file in result.folder.glob("*.safetensors"))
        cells = (str(result.folder), merge.method.title, f"{merge.lam:g}", dtype)
        rows.append((*cells, format_bytes(size), "; ".join(notes)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _default_cache_dir() -> Path | None:
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user without a home directory
        return None
    return Path(cache) / "mergescale" / "thresholds"
