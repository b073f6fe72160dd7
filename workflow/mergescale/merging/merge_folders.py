"""A merge from folders to a folder: the target made when a merged checkpoint is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mergescale import __version__
from mergescale.merging.apply import merge
from mergescale.merging.checkpoint import read_weights, write_folder
from mergescale.merging.methods.registry import get_method
from mergescale.merging.recipe import Recipe, weights_digest
from mergescale.merging.task_vector import task_vector


def read_task_vectors(base: Mapping, experts: Mapping[str, str | Path]) -> dict[str, dict]:
    """{expert: task vector} from {expert: folder}; base: the weights of the base."""
    return {
        name: task_vector(read_weights(folder), base, label=f"{name} ({folder})")
        for name, folder in sorted(experts.items())
    }


def merge_folders(
    base: str | Path,
    experts: Mapping[str, str | Path],
    out: str | Path,
    method: str,
    lam: float,
    parameters: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> Recipe:
    """Merges {expert name: folder} over the folder `base` into the new folder `out`.

    Returns the recipe, which `out` holds as merge.json. Nothing is written if anything is wrong
    with the inputs (ValueError) or `out` exists (FileExistsError).
    """
    recipe = Recipe(
        method=method,
        base=weights_digest(base),
        experts={name: weights_digest(folder) for name, folder in experts.items()},
        lam=lam,
        parameters=parameters or {},
        seed=seed,
    )
    weights = read_weights(base)
    tau = get_method(method).tau(
        read_task_vectors(weights, experts), seed=recipe.seed, **recipe.parameters
    )
    content = {"digest": recipe.digest(), "mergescale": __version__, "recipe": recipe.as_dict()}
    write_folder(out, merge(weights, tau, recipe.lam), base, content, model_card(recipe))
    return recipe


def model_card(recipe: Recipe) -> str:
    """README.md of a merged folder: how it was made, from what."""
    settings = {**recipe.parameters, "lambda": recipe.lam}
    if recipe.seed is not None:
        settings["seed"] = recipe.seed
    lines = [
        "---",
        "library_name: transformers",
        "tags: [merge, mergescale]",
        "---",
        f"# {get_method(recipe.method).title} of {', '.join(recipe.experts)}",
        "",
        "Merged by mergescale: W = W0 + lambda * tau, in float32. `merge.json` holds the recipe.",
        "",
        *(f"- {name}: {value}" for name, value in settings.items()),
        "",
        "| input | SHA-256 of its weights |",
        "|---|---|",
        f"| base | `{recipe.base}` |",
        *(f"| {name} | `{digest}` |" for name, digest in recipe.experts.items()),
    ]
    return "\n".join(lines) + "\n"
