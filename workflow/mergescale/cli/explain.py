"""Show what a recipe computes, how much it reads and writes, and its memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mergescale.cli.recipe_arguments import EPILOG, RecipeArgument, Resources

if TYPE_CHECKING:
    from mergescale.merging.engine.merge_spec import Merge
    from mergescale.merging.recipes.recipe import RecipeFile

__all__ = ["EPILOG", "Arguments", "run"]


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command."""

    recipe: RecipeArgument
    resources: Resources


def run(args: Arguments) -> None:
    """Print the formula and parameters of each merge, then bytes and memory."""
    from mergescale.merging.engine.memory import parse_bytes
    from mergescale.merging.recipes.recipe import read_recipe

    memory_limit = parse_bytes(args.resources.memory_limit)
    recipe = read_recipe(args.recipe.recipe)
    lines = [line for merge in recipe.merges for line in _describe_merge(merge, recipe)]
    lines += _describe_resources(recipe, args.resources.threads, memory_limit)
    for line in lines:  # all at once: nothing is printed if a model cannot be read
        print(line)


def _describe_merge(merge: Merge, recipe: RecipeFile) -> Iterator[str]:
    """What a merge computes: method, formula, and the settings of each expert."""
    from mergescale.merging.method import LAMBDA

    name = "" if str(merge.folder) == "." else f"{merge.folder}: "
    settings = merge.method.omitted_defaults() | {**merge.parameters, LAMBDA: merge.lam}
    if merge.seed is not None:
        settings["seed"] = merge.seed
    parameters = ", ".join(f"{key} {value}" for key, value in settings.items())
    yield (
        f"{name}{merge.method.title} of {', '.join(merge.experts)} over {recipe.base} "
        f"({parameters}), written in {merge.dtype}"
    )
    formula = (merge.method.merge.__doc__ or "").strip()
    yield f"  W = W0 + {merge.lam:g} * tau; {formula}"
    for expert in merge.experts:
        own = [f"{key} {value}" for key, value in merge.overrides.get(expert, {}).items()]
        if (weight := merge.weights.get(expert, 1.0)) != 1:
            own.append(f"weight {weight}")
        files = merge.statistics_files.get(expert, {})
        own += [f"{statistic} from {file}" for statistic, file in files.items()]
        if own:
            yield f"  {expert}: {', '.join(own)}"


def _describe_resources(
    recipe: RecipeFile, threads: int | None, memory_limit: int
) -> Iterator[str]:
    """Bytes read and written, and memory."""
    from mergescale.checkpoints.reader import CheckpointReader
    from mergescale.cores import usable_cores
    from mergescale.merging.engine.engine import largest_tensor
    from mergescale.merging.engine.estimate import estimate_folders
    from mergescale.merging.engine.memory import (
        block_elements,
        element_bytes,
        max_threads,
        working_memory,
    )
    from mergescale.merging.engine.merge_spec import statistics_files
    from mergescale.progress import format_bytes

    estimate = estimate_folders(recipe.base, recipe.experts, recipe.merges)
    experts, files = len(recipe.experts), len(statistics_files(recipe.merges))
    more = {"statistics_files": files, "whole_tensor": 0}
    if any(merge.whole_tensors for merge in recipe.merges):
        with CheckpointReader.open(recipe.base) as base:
            more["whole_tensor"] = largest_tensor(base)
    if threads is None:
        threads = max_threads(memory_limit, experts, usable_cores(), **more)
    memory = working_memory(memory_limit, experts, threads)
    elements = block_elements(experts, threads, memory, **more)
    used = (
        threads * elements * element_bytes(experts, files, whole_tensors=more["whole_tensor"] > 0)
    )
    yield f"inputs: {format_bytes(estimate.inputs)}"
    thresholds = " (less if thresholds are cached, more if the sample misleads)"
    yield (
        f"total read: about {format_bytes(estimate.read)}"
        f"{thresholds if estimate.read > estimate.inputs else ''}"
    )
    yield f"written: {format_bytes(estimate.written)}"
    yield (
        f"memory: at most {format_bytes(memory_limit)}; {threads} "
        f"{'threads have blocks' if threads > 1 else 'thread has a block'} of {elements:,} "
        f"elements, {format_bytes(used)}"
    )
