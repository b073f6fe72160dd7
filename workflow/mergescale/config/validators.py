"""Checks of a configuration that concern several keys, or files, at once.

Each function raises ConfigError, in one line that names the key, for the first fault that it finds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mergescale.config import selectors as study
from mergescale.config.errors import ConfigError
from mergescale.config.model_sizes import check_sizes
from mergescale.messages import format_value, join_names, suggest
from mergescale.tasks.prompt_config import PromptConfig
from mergescale.tasks.sources import load_tasks

RENAMED_KEYS = {
    "tasks.templates.asked": "tasks.templates.mode",
    "compute.cluster.longest_hours": "compute.cluster.max_hours",
    "merging.methods.*.at_threshold": "merging.methods.*.ties",
}
"""Keys of earlier versions; `*` stands for any key."""


def check_renamed_keys(config: Any) -> None:
    """Refuse a key by its former name.

    Raises:
        ConfigError: There is one; the message has its new name.
    """
    for old, new in RENAMED_KEYS.items():
        for names in _matches(config, old.split(".")):
            # What * stands for is the same in both.
            stars = iter(
                name for name, part in zip(names, old.split("."), strict=True) if part == "*"
            )
            renamed = ".".join(next(stars) if part == "*" else part for part in new.split("."))
            raise ConfigError(f"{'.'.join(names)} was renamed to {renamed}")


def _matches(value: Any, pattern: list[str]) -> list[list[str]]:
    """The paths of keys in a configuration that match a pattern."""
    if not pattern:
        return [[]]
    if not isinstance(value, dict):
        return []
    part, *rest = pattern
    keys = [key for key in value if isinstance(key, str)] if part == "*" else [part]
    return [[key, *path] for key in keys if key in value for path in _matches(value[key], rest)]


def without_removed_sizes(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the training overrides of sizes that an overlay removed."""
    sizes = _mapping(_mapping(config.get("models")).get("sizes"))
    removed = {size for size, settings in sizes.items() if settings is None}
    if not removed:
        return config
    training = dict(_mapping(config.get("training")))
    for stage in study.STAGES:
        overrides = _mapping(_mapping(training.get(stage)).get("sizes"))
        if overrides:
            remaining = {size: value for size, value in overrides.items() if size not in removed}
            training[stage] = {**training[stage], "sizes": remaining}
    return {**config, "training": training} if training else config


def check(config: dict[str, Any]) -> None:
    """Check a configuration whose keys are right by themselves.

    Raises:
        ConfigError: The first fault.
    """
    check_datasets(config)
    check_letter_case(config)
    check_folders(config)
    check_sizes(config)
    check_training(config)
    check_objectives(config)
    check_processes(config)
    check_draws(config)
    check_methods(config)
    check_rows(config)
    check_dataset_names(config)
    check_dataset_folders(config)
    check_revisions(config)


def check_dataset_names(config: dict[str, Any]) -> None:
    """Check that the source of tasks has every dataset."""
    source, folder = config["tasks"]["source"], config["tasks"]["folder"]
    known = sorted(load_tasks(source, PromptConfig(folder=Path(folder) if folder else None)))
    for role in ("held_in", "held_out"):
        for category, datasets in config["tasks"][role].items():
            for dataset in datasets:
                if dataset not in known:
                    raise ConfigError(
                        f"tasks.{role}.{category} lists {format_value(dataset)}, which is not a "
                        f"dataset of the source {source}; {suggest(dataset, known)}"
                    )


def check_dataset_folders(config: dict[str, Any]) -> None:
    """Check that `tasks.folder` has a folder for each dataset of the study."""
    folder = config["tasks"]["folder"]
    if config["tasks"]["source"] != "folder":
        return
    from mergescale.tasks.public.datasets import DATASETS

    folders = {dataset.name: dataset.folder for dataset in DATASETS.values()}
    missing = [
        name if name == folders[name] else f"{name} ({folders[name]})"
        for name in study.tasks(config)
        if not Path(folder, folders[name]).is_dir()
    ]
    if missing:
        raise ConfigError(
            f"tasks.folder is {format_value(folder)}, which has no folder for "
            f"{join_names(missing)}; add their rows (docs/extend/dataset.md), or set their "
            f"categories to null"
        )


def check_revisions(config: dict[str, Any]) -> None:
    """Check that revisions are given only for datasets of the study."""
    for dataset in config["tasks"]["revisions"]:
        if dataset not in study.tasks(config):
            raise ConfigError(
                f"tasks.revisions.{dataset} is not a dataset of the study; "
                f"{suggest(dataset, study.tasks(config))}"
            )


def check_datasets(config: dict[str, Any]) -> None:
    """Check that no dataset or category is listed twice."""
    places: dict[str, str] = {}
    for role in ("held_in", "held_out"):
        for category, datasets in config["tasks"][role].items():
            for name, what in [(category, "category"), *((each, "dataset") for each in datasets)]:
                place = f"tasks.{role}" if what == "category" else f"tasks.{role}.{category}"
                first = places.setdefault(f"{what} {name}", place)
                if first != place:
                    raise ConfigError(
                        f"{place} lists the {what} {name}, which {first} has already; each {what} "
                        "must be given once"
                    )


def check_letter_case(config: dict[str, Any]) -> None:
    """Check that names of folders differ in more than capitals, which macOS does not tell apart."""
    for key, names in (
        ("models.sizes", study.sizes(config)),
        ("tasks.held_in", study.categories(config)),
    ):
        first: dict[str, str] = {}
        for name in names:
            if (other := first.setdefault(name.casefold(), name)) != name:
                raise ConfigError(
                    f"{key} has {other} and {name}, which are one folder on macOS; names must "
                    "differ in more than capital letters"
                )


def check_folders(config: dict[str, Any]) -> None:
    """Check that the keys that a source of public datasets needs are given, and folders exist."""
    sections = ["tasks"] + (["mixture"] if "it" in config["bases"] else [])
    for section in sections:
        if config[section]["source"] == "folder":
            _check_folder(config[section]["folder"], f"{section}.folder", f"{section}.source")
    templates = config["tasks"]["templates"]
    if config["tasks"]["source"] != "micro" and templates["source"] == "promptsource":
        key = "tasks.templates"
        _check_folder(templates["folder"], f"{key}.folder", f"{key}.source", "promptsource")
    if "mixture" in sections and config["mixture"]["source"] == "hub":
        for key, what in (
            ("repo", "a dataset of the hub"),
            ("revision", "a commit of the dataset"),
        ):
            if not config["mixture"][key]:
                raise ConfigError(
                    f"mixture.{key} is not given; it must be {what} when mixture.source is hub"
                )


def _check_folder(folder: str | None, key: str, source_key: str, source: str = "folder") -> None:
    if folder is None:
        raise ConfigError(f"{key} is not given; it must be a folder when {source_key} is {source}")
    if not Path(folder).is_dir():
        raise ConfigError(f"{key} is {format_value(folder)}; there is no such folder")


def check_training(config: dict[str, Any]) -> None:
    """Check that overrides are for sizes of the study, and that the warm-up fits into the steps."""
    sizes = study.sizes(config)
    for stage in study.STAGES:
        for size in config["training"][stage]["sizes"]:
            if size not in sizes:
                raise ConfigError(
                    f"training.{stage}.sizes.{size} is not a size of models.sizes; "
                    f"{suggest(size, sizes)}"
                )
        for size in sizes:
            settings = study.stage_settings(config, stage, size)
            if settings["steps"] and settings["warmup"] > settings["steps"]:
                own = "warmup" in config["training"][stage]["sizes"].get(size, {})
                key = f"training.{stage}.sizes.{size}.warmup" if own else f"training.{stage}.warmup"
                raise ConfigError(
                    f"{key} is {settings['warmup']}; it must be at most the "
                    f"{settings['steps']} steps that size {size} is trained for"
                )
    longest = config["models"]["max_length"]
    for size in sizes:
        length = study.stage_settings(config, "pretrain", size)["length"]
        if length > longest:
            raise ConfigError(
                f"training.pretrain.length is {length} for size {size}; it must be at most "
                f"models.max_length, {longest}"
            )


def check_objectives(config: dict[str, Any]) -> None:
    """Check that the objectives and the optimizer exist."""
    from mergescale.training.registry import objective_names, optimizer_names

    training = config["training"]
    names = {"training.optimizer": (training["optimizer"], optimizer_names())}
    for stage in study.STAGES:
        names[f"training.{stage}.objective"] = training[stage]["objective"], objective_names()
        for size, settings in training[stage]["sizes"].items():
            if "objective" in settings:
                key = f"training.{stage}.sizes.{size}.objective"
                names[key] = settings["objective"], objective_names()
    for key, (name, known) in names.items():
        if name not in known:
            raise ConfigError(f"{key} is {format_value(name)}; {suggest(name, known)}")


def check_processes(config: dict[str, Any]) -> None:
    """Check that each node gets the same number of processes of a training job."""
    processes, nodes = config["compute"]["processes"], config["compute"]["nodes"]
    if processes % nodes:
        raise ConfigError(
            f"compute.processes is {processes}; it must be a multiple of compute.nodes, {nodes}"
        )


def check_draws(config: dict[str, Any]) -> None:
    """Check that no draw takes more experts than there are."""
    available = len(study.categories(config))
    for count in config["draws"]["counts"]:
        if count > available:
            raise ConfigError(
                f"draws.counts holds {count}; each entry must be between 1 and {available}, the "
                "number of categories in tasks.held_in"
            )


def check_methods(config: dict[str, Any]) -> None:
    """Check that methods exist, and their parameters are in the ranges that they declare."""
    known = study.known_methods()
    for name, settings in config["merging"]["methods"].items():
        key = f"merging.methods.{name}"
        if name not in known:
            raise ConfigError(f"{key} is not a method; {suggest(name, known)}")
        for count in config["draws"]["counts"]:
            try:
                known[name].check_experts(count)
            except ValueError as error:
                raise ConfigError(f"{key}: {error}; draws.counts holds {count}") from None
        parameters = {parameter.name: parameter for parameter in known[name].parameters}
        for parameter, given in settings.items():
            if parameter not in parameters:
                raise ConfigError(
                    f"{key}.{parameter} is not a parameter of {name}; "
                    f"{suggest(parameter, parameters)}"
                )
            entries = given if isinstance(given, list) else [given]
            if not entries:
                raise ConfigError(f"{key}.{parameter} is empty; at least one entry must be given")
            if twice := [entry for index, entry in enumerate(entries) if entry in entries[:index]]:
                raise ConfigError(
                    f"{key}.{parameter} lists {format_value(twice[0])} twice; each entry must be "
                    "given once"
                )
            for entry in entries:
                try:
                    parameters[parameter].canonical(entry)
                except ValueError:
                    raise ConfigError(
                        f"{key}.{parameter} holds {format_value(entry)}; each entry must be "
                        f"{parameters[parameter].allowed()}"
                    ) from None


def check_rows(config: dict[str, Any]) -> None:
    """Check that evaluation uses no more rows than the task files have."""
    for split in ("validation", "test"):
        used, made = config["evaluation"][f"{split}_rows"], config["tasks"]["rows"][split]
        if used > made:
            raise ConfigError(
                f"evaluation.{split}_rows is {used}; it must be at most tasks.rows.{split}, {made}"
            )


def _mapping(value: object) -> dict:
    return value if isinstance(value, dict) else {}
