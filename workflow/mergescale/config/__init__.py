"""The configuration of a study: read, completed with defaults, and checked before any job starts.

`model.py` declares every key with its type, range, default and meaning; `validators.py` and
`model_sizes.py` check what concerns several keys; `selectors.py` reads categories, tasks, sizes and
settings from a checked configuration. Nothing heavy is imported here: Snakemake reads this package
each time it starts.
"""

from mergescale.config.errors import ConfigError
from mergescale.config.load import complete, complete_or_exit, load
from mergescale.config.selectors import (
    STAGES,
    base_source,
    categories,
    category_of,
    held_in_tasks,
    held_out_tasks,
    method_settings,
    methods,
    sizes,
    stage_settings,
    statistics_kinds,
    tasks,
)

__all__ = [
    "STAGES",
    "ConfigError",
    "base_source",
    "categories",
    "category_of",
    "complete",
    "complete_or_exit",
    "held_in_tasks",
    "held_out_tasks",
    "load",
    "method_settings",
    "methods",
    "sizes",
    "stage_settings",
    "statistics_kinds",
    "tasks",
]
