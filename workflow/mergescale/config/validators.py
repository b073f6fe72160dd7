"""What a schema cannot say: the checks that look at several keys, or at files, at once."""

from __future__ import annotations

from pathlib import Path

from mergescale.config import selectors as study
from mergescale.config.errors import ConfigError, choose, shown
from mergescale.config.model_sizes import check_sizes
from mergescale.tasks.sources import tasks_of


def without_removed_sizes(config: dict) -> dict:
    """Leave out the training overrides of sizes that an overlay removed with null."""
    ladder = _mapping(_mapping(config.get("models")).get("sizes"))
    removed = {size for size, settings in ladder.items() if settings is None}
    if not removed:
        return config
    training = dict(_mapping(config.get("training")))
    for stage in study.STAGES:
        overrides = _mapping(_mapping(training.get(stage)).get("sizes"))
        if overrides:
            kept = {size: value for size, value in overrides.items() if size not in removed}
            training[stage] = {**training[stage], "sizes": kept}
    return {**config, "training": training} if training else config


def check(config: dict) -> None:
    """Raise ConfigError on the first fault of a configuration that agrees with the schema."""
    check_datasets(config)
    check_letter_case(config)
    check_folders(config)
    check_sizes(config)
    check_training(config)
    check_processes(config)
    check_draws(config)
    check_methods(config)
    check_rows(config)
    check_dataset_names(config)
    check_revisions(config)


def check_dataset_names(config: dict) -> None:
    """The source of tasks has every dataset."""
    source, folder = config["tasks"]["source"], config["tasks"]["folder"]
    known = sorted(tasks_of(source, Path(folder) if folder else None))
    for role in ("held_in", "held_out"):
        for category, datasets in config["tasks"][role].items():
            for dataset in datasets:
                if dataset not in known:
                    raise ConfigError(
                        f"tasks.{role}.{category} lists {shown(dataset)}, which is not a dataset "
                        f"of the source {source}; {choose(dataset, known)}"
                    )


def check_revisions(config: dict) -> None:
    """Revisions are those of datasets of the study."""
    for dataset in config["tasks"]["revisions"]:
        if dataset not in study.tasks(config):
            raise ConfigError(
                f"tasks.revisions.{dataset} is not a dataset of the study; "
                f"{choose(dataset, study.tasks(config))}"
            )


def check_datasets(config: dict) -> None:
    """A dataset, and a category, belongs to one place."""
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


def check_letter_case(config: dict) -> None:
    """Names that become folders differ in more than capitals: macOS does not tell these apart."""
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


def check_folders(config: dict) -> None:
    """What the sources of real rows need is given, and folders are there."""
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
        raise ConfigError(f"{key} is {shown(folder)}; there is no such folder")


def check_training(config: dict) -> None:
    """Overrides belong to sizes of the ladder, and the warm-up fits into the steps."""
    ladder = study.sizes(config)
    for stage in study.STAGES:
        for size in config["training"][stage]["sizes"]:
            if size not in ladder:
                raise ConfigError(
                    f"training.{stage}.sizes.{size} is not a size of models.sizes; "
                    f"{choose(size, ladder)}"
                )
        for size in ladder:
            settings = study.stage(config, stage, size)
            if settings["steps"] and settings["warmup"] > settings["steps"]:
                own = "warmup" in config["training"][stage]["sizes"].get(size, {})
                key = f"training.{stage}.sizes.{size}.warmup" if own else f"training.{stage}.warmup"
                raise ConfigError(
                    f"{key} is {settings['warmup']}; it must be at most the "
                    f"{settings['steps']} steps that size {size} is trained for"
                )
    longest = config["models"]["max_length"]
    for size in ladder:
        length = study.stage(config, "pretrain", size)["length"]
        if length > longest:
            raise ConfigError(
                f"training.pretrain.length is {length} for size {size}; it must be at most "
                f"models.max_length, {longest}"
            )


def check_processes(config: dict) -> None:
    """Each node gets as many processes of a training job."""
    processes, nodes = config["compute"]["processes"], config["compute"]["nodes"]
    if processes % nodes:
        raise ConfigError(
            f"compute.processes is {processes}; it must be a multiple of compute.nodes, {nodes}"
        )


def check_draws(config: dict) -> None:
    """No draw takes more experts than there are."""
    available = len(study.categories(config))
    for count in config["draws"]["counts"]:
        if count > available:
            raise ConfigError(
                f"draws.counts holds {count}; each entry must be between 1 and {available}, the "
                "number of categories in tasks.held_in"
            )


def check_methods(config: dict) -> None:
    """Methods exist, and their parameters are within the ranges that the methods declare."""
    known = study.known_methods()
    for name, settings in config["merging"]["methods"].items():
        key = f"merging.methods.{name}"
        if name not in known:
            raise ConfigError(f"{key} is not a method; {choose(name, known)}")
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
                    f"{choose(parameter, parameters)}"
                )
            entries = given if isinstance(given, list) else [given]
            if not entries:
                raise ConfigError(f"{key}.{parameter} is empty; at least one entry must be given")
            for entry in entries:
                try:
                    parameters[parameter].canonical(entry)
                except ValueError:
                    raise ConfigError(
                        f"{key}.{parameter} holds {shown(entry)}; each entry must be "
                        f"{parameters[parameter].allowed()}"
                    ) from None


def check_rows(config: dict) -> None:
    """Evaluation takes no more rows than the task files have."""
    for split in ("validation", "test"):
        used, made = config["evaluation"][f"{split}_rows"], config["tasks"]["rows"][split]
        if used > made:
            raise ConfigError(
                f"evaluation.{split}_rows is {used}; it must be at most tasks.rows.{split}, {made}"
            )


def _mapping(value: object) -> dict:
    return value if isinstance(value, dict) else {}
