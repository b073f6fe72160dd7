"""The micro world's stand-ins for the evaluation datasets; one file is one category.

Each module of this package declares `TASKS`, a tuple of tasks, and is found by being here.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from mergescale.tasks.task import Task

CATEGORIES: dict[str, tuple[Task, ...]] = {
    module.name: import_module(f"{__name__}.{module.name}").TASKS
    for module in iter_modules(__path__)
}
TASKS: dict[str, Task] = {task.name: task for tasks in CATEGORIES.values() for task in tasks}

__all__ = ["CATEGORIES", "TASKS"]
