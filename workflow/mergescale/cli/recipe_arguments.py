"""Arguments that `merge`, `check` and `explain` share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mergescale.argument_types import POSITIONAL, Positive

EPILOG = """\
a recipe (docs/merging.md describes all keys):

  base: models/llama
  experts: {math: models/llama-math, code: models/llama-code}
  method: ties
  density: 0.2
  lambda: 0.5
  dtype: bfloat16
"""


@dataclass(frozen=True)
class RecipeArgument:
    """The recipe."""

    recipe: Annotated[Path, "a recipe, see below; mergekit's YAML is supported too", POSITIONAL]


@dataclass(frozen=True)
class Resources:
    """Threads and memory of a merge."""

    threads: Annotated[
        Positive | None,
        "blocks in progress at the same time; by default one per core, fewer if memory is short",
    ] = None
    memory_limit: Annotated[
        str,
        "memory of the whole process (500MB, 2GiB, ...), whatever the size of the models; files "
        "that the system caches do not count",
    ] = "500MB"
