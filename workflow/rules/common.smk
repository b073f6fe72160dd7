"""Shared by all rules: the checked configuration, names, and functions for inputs and flags."""

import json
import shlex
from pathlib import Path

from mergescale import config as study
from mergescale.figures.registry import figure_names
from mergescale.provenance.digests import code_digest, method_digest
from mergescale.stages.draws import draw_sets
from mergescale_snakemake.guard import guard_run
from mergescale_snakemake.job_resources import resource_functions
from mergescale_snakemake.job_server import start_job_server
from mergescale_snakemake.run_setup import (
    disable_job_rate_limit,
    prepare_job_environment,
    stop_gracefully_on_sigterm,
)
from mergescale_snakemake.status_line import attach_status_line, print_summary
from mergescale_snakemake.targets import check_targets

config = study.complete_or_exit(config, workflow.configfiles)

STUDY = config["study"]
SIZES = study.sizes(config)
BASES = config["bases"]
METHODS = study.methods(config)
HELD_IN = config["tasks"]["held_in"]
HELD_OUT = config["tasks"]["held_out"]
# {draw: the categories whose experts it merges}
DRAWS = {
    f"n{count}-s{seed}": drawn
    for (count, seed), drawn in draw_sets(**config["draws"], categories=list(HELD_IN)).items()
}
# Kinds of statistics files that the study's methods need of each expert; most need none.
STATISTICS = study.statistics_kinds(config)
FORMATS = ["pdf", "svg", "png"]
FIGURES = [f"figure{name}" for name in figure_names()]
TABLES = ["table1", "table2", "table3", "table4", "tasks"]
MODEL_FILES = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "training.json",
]
# Relative, as all paths are, so that moving the project makes no job run again.
ENVIRONMENT = "../../envs/mergescale.yaml"

prepare_job_environment(workflow)
attach_status_line(workflow)
check_targets(
    workflow,
    STUDY,
    {
        "size": SIZES,
        "base": BASES,
        "draw": DRAWS,
        "method": METHODS,
        "category": HELD_IN,
        "task": study.tasks(config),
    },
)


wildcard_constraints:
    study=STUDY,
    size="|".join(SIZES),
    base="|".join(BASES),
    category="|".join(HELD_IN),
    draw="|".join(DRAWS),
    method="|".join(METHODS),
    task="|".join(study.tasks(config)),
    kind="|".join(STATISTICS) or "none",


def flags(settings):
    """Write settings as command-line flags: {"batch_size": 64} becomes `--batch-size 64`."""
    words = []
    for key, value in settings.items():
        if value is True:
            words.append(f"--{key.replace('_', '-')}")
        elif value is not None and value is not False:
            values = value if isinstance(value, (list, tuple)) else [value]
            words += [f"--{key.replace('_', '-')}", *(shlex.quote(str(entry)) for entry in values)]
    return " ".join(words)


def as_json(value):
    """Write a value as JSON, quoted as one word for the shell."""
    return shlex.quote(json.dumps(value, separators=(",", ":")))


def caption_file(name):
    """The caption of a figure or table in Snakemake's own report; the stage writes it."""
    return str(Path(f"results/{STUDY}/{name}.rst").absolute())


def files_of(folder):
    """List the files of a model folder."""
    return [f"{folder}/{name}" for name in MODEL_FILES]


def constituents(wildcards):
    """The categories whose experts a draw merges."""
    return DRAWS[wildcards.draw]


def statistics_files(wildcards):
    """{kind/category: file} of a draw's experts."""
    folder = f"results/{STUDY}/statistics/{wildcards.size}/{wildcards.base}"
    return {
        f"{kind}/{category}": f"{folder}/{category}/{kind}.safetensors"
        for kind in STATISTICS
        for category in constituents(wildcards)
    }


def statistics_arguments(wildcards):
    """`kind/category=file` for each statistics file, as `--statistics` wants them."""
    files = [f"{name}={file}" for name, file in statistics_files(wildcards).items()]
    return flags({"statistics": files or None})


def expert_weights(categories):
    """Make an input function: the weights of the experts of some categories.

    `categories` is a list, or a function of the wildcards.
    """

    def weights(wildcards):
        names = categories(wildcards) if callable(categories) else categories
        folder = f"results/{STUDY}/models/{wildcards.size}/{wildcards.base}/experts"
        return [f"{folder}/{name}/model.safetensors" for name in names]

    return weights


def expert_arguments(categories):
    """Make a params function: `category=folder` for each expert, for `--experts`."""

    def arguments(wildcards):
        names = categories(wildcards) if callable(categories) else categories
        folder = f"results/{STUDY}/models/{wildcards.size}/{wildcards.base}/experts"
        return [f"{name}={folder}/{name}" for name in names]

    return arguments


def category_arguments(held_in):
    """Flags of some held-in categories and all held-out ones, each with its tasks."""
    named = {"held-in": {name: HELD_IN[name] for name in held_in}, "held-out": HELD_OUT}
    return " ".join(
        flags({role: [f"{name}={','.join(tasks)}" for name, tasks in groups.items()]})
        for role, groups in named.items()
    )


def evaluation_arguments():
    """Flags of scoring, the same for all models."""
    return flags(
        {
            **config["evaluation"],
            "max_length": config["models"]["max_length"],
            "device": config["compute"]["device"],
        }
    )


def task_files(held_in, splits):
    """The task files that scoring reads: of some held-in categories, and of all held-out ones."""
    tasks = [task for name in held_in for task in HELD_IN[name]]
    tasks += [task for group in HELD_OUT.values() for task in group]
    return expand(
        "results/{study}/tasks/{task}/{file}",
        study=STUDY,
        task=tasks,
        file=[*(f"{split}.parquet" for split in splits), "task.json"],
    )


def tasks_digest(section):
    """Digest of the code that makes the rows of `tasks` or `mixture`; it depends on their source."""
    micro = config[section]["source"] == "micro"
    return code_digest("micro_tasks" if micro else f"public_{section}")


def task_arguments(wildcards):
    """Flags of the stage `task`: the source of a dataset's rows, how many, and its templates."""
    tasks = config["tasks"]
    settings = {
        "source": tasks["source"],
        "rows": [tasks["rows"][split] for split in ("train", "validation", "test")],
        "seed": config["seed"],
    }
    if tasks["source"] != "micro":
        templates = tasks["templates"]
        pinned = tasks["revisions"].get(wildcards.task)
        settings |= {
            "folder": tasks["folder"],
            "revisions": pinned and f"{wildcards.task}={pinned}",
            "templates": templates["source"],
            "templates_folder": templates["folder"],
            "template_mode": templates["mode"],
            "overlap": tasks["overlap"],
            # No expert is trained on a held-out dataset, so it needs no training rows.
            "held_out_task": wildcards.task in study.held_out_tasks(config),
        }
    return flags(settings)


def training_arguments(stage):
    """Make a params function: the flags of a training stage for a size."""

    # `auto` is left out: to write the default into a configuration must not train anything again.
    precision = config["compute"]["precision"]

    def arguments(wildcards):
        settings = study.stage_settings(config, stage, wildcards.size)
        return flags(
            {
                **settings,
                "max_length": config["models"]["max_length"],
                "seed": config["seed"],
                "device": config["compute"]["device"],
                "micro_batch": config["compute"]["micro_batch"] or None,
                "precision": None if precision == "auto" else precision,
            }
        )

    return arguments


def training_threads(wildcards):
    """CPU threads of a training job on each of its nodes."""
    compute = config["compute"]
    return compute["threads"] * compute["processes"] // compute["nodes"]


# How a training job is launched, for its shell command. These are resources: as parameters of the
# rule they would train all models again on another cluster, to the same weights.
LAUNCH_FLAGS = (
    " --threads {threads} --processes {resources.processes}"
    " --gpus {resources.gpu} --nodes {resources.nodes} --sharding {resources.sharding}"
)


def base_inputs(wildcards):
    """The files of the study that a pre-trained base is made from; none for a local checkpoint."""
    folder = f"results/{STUDY}"
    match study.base_source(config, wildcards.size):
        case "hub":
            return [f"{folder}/hub/{wildcards.size}/hub.json"]
        case "scratch":
            return [f"{folder}/tokenizer/tokenizer.json", f"{folder}/corpus.parquet"]
    return []


def hub_arguments(size):
    """Flags of the stage `fetch-model` for a size."""
    settings = config["models"]["sizes"][size]
    return flags({"repo": settings["hub"], "revision": settings["revision"]})


def base_command(wildcards):
    """The command that makes a pre-trained base: `pretrain` from scratch, or `adopt` a model."""
    size = config["models"]["sizes"][wildcards.size]
    folder = f"results/{STUDY}"
    match study.base_source(config, wildcards.size):
        case "hub":
            return f"adopt --checkpoint {folder}/hub/{wildcards.size}"
        case "checkpoint":
            return f"adopt --checkpoint {shlex.quote(size['checkpoint'])}"
    return (
        f"pretrain --tokenizer {folder}/tokenizer --corpus {folder}/corpus.parquet"
        f" --architecture {as_json(size)} {training_arguments('pretrain')(wildcards)}"
        f" --checkpoint-dir {folder}/.checkpoints/{wildcards.size}/pt"
        f" --label 'pretrain {wildcards.size}'"
    )


def job_resources(rule):
    """What the jobs of a rule request from the scheduler; a local run ignores it."""
    return resource_functions(config, rule)


def train_files(categories):
    """The files with training rows of the tasks of some categories."""
    return [
        f"results/{STUDY}/tasks/{task}/train.parquet"
        for name in categories
        for task in HELD_IN[name]
    ]


def mixture_files():
    """The mixture, and what was removed from it."""
    names = {"rows": "flan.parquet", "removed": "removed.csv", "record": "mixture.json"}
    return {key: f"results/{{study}}/mixture/{name}" for key, name in names.items()}


def evaluation_rows():
    """The rows that the mixture is checked against."""
    if config["mixture"]["overlap"]["against"] == "none":
        return []
    return expand(
        "results/{{study}}/tasks/{task}/{split}.parquet",
        task=study.tasks(config),
        split=["validation", "test"],
    )


def mixture_arguments():
    """Flags of the stage `mixture`."""
    mixture = config["mixture"]
    settings = {"source": mixture["source"]}
    if mixture["source"] == "folder":
        settings["folder"] = mixture["folder"]
    if mixture["source"] == "hub":
        settings |= {key: mixture[key] for key in ("repo", "revision", "files")}
        settings |= {f"{key}_column": name for key, name in mixture["columns"].items()}
    if evaluation_rows():
        short = mixture["source"] == "micro"  # its sentences are
        settings["ngram"] = mixture["overlap"].get("ngram", 8 if short else 13)
        settings["tasks"] = [f"results/{STUDY}/tasks/{task}" for task in study.tasks(config)]
    return flags({**settings, "rows": mixture["rows"], "seed": config["seed"]})
