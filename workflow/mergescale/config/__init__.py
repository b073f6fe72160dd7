"""The configuration of a study: read, completed with defaults, and checked before any job starts.

The schema (`workflow/schemas/config.schema.yaml`) says which keys there are, what they mean, their
defaults and ranges; `schema.py` applies it, `rules.py` checks what a schema cannot say, `study.py`
answers the workflow's questions about a checked configuration. Nothing heavy is imported here: the
Snakefile reads this package on every start.
"""

from mergescale.config.errors import ConfigError
from mergescale.config.load import complete, complete_or_exit, load
from mergescale.config.selectors import (
    STAGES,
    categories,
    category_of,
    held_in_tasks,
    held_out_tasks,
    method_settings,
    methods,
    origin,
    sizes,
    stage,
    tasks,
)

__all__ = [
    "STAGES",
    "ConfigError",
    "categories",
    "category_of",
    "complete",
    "complete_or_exit",
    "held_in_tasks",
    "held_out_tasks",
    "load",
    "method_settings",
    "methods",
    "origin",
    "sizes",
    "stage",
    "tasks",
]
