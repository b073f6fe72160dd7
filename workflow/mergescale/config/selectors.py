"""What the workflow asks of a checked configuration: its categories, tasks, sizes, settings."""

from __future__ import annotations

from typing import Any

from mergescale.merging.method import Method
from mergescale.merging.registry import all_methods

STAGES = ("pretrain", "instruct", "expert", "multitask")


def categories(config: dict) -> list[str]:
    """Held-in categories, in the order of the configuration; each has an expert."""
    return list(config["tasks"]["held_in"])


def held_in_tasks(config: dict, category: str | None = None) -> list[str]:
    """Held-in datasets, of one category or of all."""
    groups = config["tasks"]["held_in"]
    chosen = groups.values() if category is None else [groups[category]]
    return [task for group in chosen for task in group]


def held_out_tasks(config: dict) -> list[str]:
    """Held-out datasets."""
    return [task for group in config["tasks"]["held_out"].values() for task in group]


def tasks(config: dict) -> list[str]:
    """All datasets, held-in first."""
    return held_in_tasks(config) + held_out_tasks(config)


def category_of(config: dict) -> dict[str, str]:
    """Map each dataset to its category."""
    groups = {**config["tasks"]["held_in"], **config["tasks"]["held_out"]}
    return {task: category for category, names in groups.items() for task in names}


def sizes(config: dict) -> list[str]:
    """Names of the model sizes, smallest first as the configuration lists them."""
    return list(config["models"]["sizes"])


def origin(config: dict, size: str) -> str:
    """Where the pre-trained base of a size is from: `scratch`, `checkpoint` or `hub`."""
    settings = config["models"]["sizes"][size]
    return next((place for place in ("hub", "checkpoint") if place in settings), "scratch")


def stage(config: dict, name: str, size: str) -> dict:
    """Settings of a training stage for one size: the stage's own, with the size's overrides."""
    shared = {key: value for key, value in config["training"].items() if key not in STAGES}
    settings = dict(config["training"][name])
    overrides = settings.pop("sizes").get(size, {})
    return {**shared, **settings, **overrides}


def methods(config: dict) -> list[str]:
    """Names of the merging methods, in the order of figures and tables."""
    return list(config["merging"]["methods"])


def method_settings(config: dict, method: str) -> dict[str, Any]:
    """Settings of a method, as `Method.sweep` and `Method.lambdas` take them.

    `merging.lambdas` and `merging.trim_scope` fill in what the method has but does not set itself.
    """
    merging = config["merging"]
    shared = {"lambda": merging["lambdas"], "trim_scope": merging["trim_scope"]}
    free = {entry.name for entry in known_methods()[method].parameters if not entry.fixed}
    defaults = {name: value for name, value in shared.items() if name in free}
    return {**defaults, **merging["methods"][method]}


def statistics_kinds(config: dict) -> list[str]:
    """Kinds of statistics files that the study's methods need of each expert, sorted."""
    kinds = set()
    for name in methods(config):
        method = known_methods()[name]
        for point in method.sweep(method_settings(config, name)):
            kinds.update(method.statistics_files(point))
    return sorted(kinds)


def known_methods() -> dict[str, Method]:
    """The methods there are, by name: one file each, so a new file is a new method."""
    return all_methods()
