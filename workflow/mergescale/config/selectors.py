"""Reads categories, tasks, sizes and settings from a completed configuration."""

from __future__ import annotations

from typing import Any

from mergescale.merging.method import Method
from mergescale.merging.registry import all_methods

STAGES = ("pretrain", "instruct", "expert", "multitask")
"""The stages of training, in the order in which they run."""


def categories(config: dict[str, Any]) -> list[str]:
    """Held-in categories, in the order of the configuration; each has an expert."""
    return list(config["tasks"]["held_in"])


def held_in_tasks(config: dict[str, Any], category: str | None = None) -> list[str]:
    """Held-in datasets, of one category or of all."""
    groups = config["tasks"]["held_in"]
    chosen = groups.values() if category is None else [groups[category]]
    return [task for group in chosen for task in group]


def held_out_tasks(config: dict[str, Any]) -> list[str]:
    """Held-out datasets."""
    return [task for group in config["tasks"]["held_out"].values() for task in group]


def tasks(config: dict[str, Any]) -> list[str]:
    """All datasets, held-in first."""
    return held_in_tasks(config) + held_out_tasks(config)


def category_of(config: dict[str, Any]) -> dict[str, str]:
    """Map each dataset to its category."""
    groups = {**config["tasks"]["held_in"], **config["tasks"]["held_out"]}
    return {task: category for category, names in groups.items() for task in names}


def sizes(config: dict[str, Any]) -> list[str]:
    """Names of the model sizes, in order of their number of parameters."""
    return list(config["models"]["sizes"])


def base_source(config: dict[str, Any], size: str) -> str:
    """What the pre-trained base of a size is made from: `scratch`, `checkpoint` or `hub`."""
    settings = config["models"]["sizes"][size]
    return next((source for source in ("hub", "checkpoint") if source in settings), "scratch")


def stage_settings(config: dict[str, Any], stage: str, size: str) -> dict[str, Any]:
    """Settings of a training stage for one size: the stage's own, with the size's overrides.

    Args:
        config: A completed configuration.
        stage: One of `STAGES`.
        size: A model size.

    Returns:
        The keys of the stage, and those that all stages share.
    """
    shared = {key: value for key, value in config["training"].items() if key not in STAGES}
    settings = dict(config["training"][stage])
    overrides = settings.pop("sizes").get(size, {})
    return {**shared, **settings, **overrides}


def methods(config: dict[str, Any]) -> list[str]:
    """Names of the merging methods, in the order of figures and tables."""
    return list(config["merging"]["methods"])


def method_settings(config: dict[str, Any], method: str) -> dict[str, Any]:
    """Settings of a method, as `Method.sweep` and `Method.lambdas` take them.

    `merging.lambdas` and `merging.trim_scope` apply to parameters that the method has and does not
    set itself.
    """
    merging = config["merging"]
    shared = {"lambda": merging["lambdas"], "trim_scope": merging["trim_scope"]}
    free = {entry.name for entry in known_methods()[method].parameters if not entry.fixed}
    defaults = {name: value for name, value in shared.items() if name in free}
    return {**defaults, **merging["methods"][method]}


def statistics_kinds(config: dict[str, Any]) -> list[str]:
    """Kinds of statistics files that the study's methods need of each expert, sorted."""
    kinds = set()
    for name in methods(config):
        method = known_methods()[name]
        for point in method.sweep(method_settings(config, name)):
            kinds.update(method.statistics_files(point))
    return sorted(kinds)


def known_methods() -> dict[str, Method]:
    """All merging methods by name; each file of `merging/methods/` is one."""
    return all_methods()
