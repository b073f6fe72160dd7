"""Check from headers alone whether a recipe's models can be merged.

Compares names, shapes, dtypes and tokenizers, which takes seconds at any size. NaN and infinity
show only in the merge.
"""

from __future__ import annotations

from dataclasses import dataclass

from mergescale.cli.recipe_arguments import EPILOG, RecipeArgument

__all__ = ["EPILOG", "Arguments", "run"]


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command."""

    recipe: RecipeArgument


def run(args: Arguments) -> None:
    """Check, and print a line for each model."""
    from mergescale.merging.engine.check import check_models
    from mergescale.merging.recipes.recipe import read_recipe

    recipe = read_recipe(args.recipe.recipe)
    for line in check_models(recipe.base, recipe.experts, recipe.merges, recipe.tokenizers):
        print(line)
