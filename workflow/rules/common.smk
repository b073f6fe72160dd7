"""What all rules share: the checked configuration, names, and how settings become arguments."""

import json
import shlex
from pathlib import Path

from mergescale import config as study
from mergescale.figures.registry import figure_names
from mergescale.provenance.digests import code_digest, method_digest
from mergescale.stages.draws import draw
from mergescale_snakemake.guard import guard_run
from mergescale_snakemake.job_resources import resource_functions
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
DRAWS = [
    f"n{count}-s{seed}" for count in config["draws"]["counts"] for seed in config["draws"]["seeds"]
]
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
# Relative, as all paths are: a project that was moved has nothing to do again.
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


def flags(settings):
    """Settings as arguments: {"batch_size": 64} becomes `--batch-size 64`."""
    words = []
    for key, value in settings.items():
        if value is True:
            words.append(f"--{key.replace('_', '-')}")
        elif value is not None and value is not False:
            values = value if isinstance(value, (list, tuple)) else [value]
            words += [f"--{key.replace('_', '-')}", *(shlex.quote(str(entry)) for entry in values)]
    return " ".join(words)


def as_json(value):
    """A value as one argument of the shell."""
    return shlex.quote(json.dumps(value, separators=(",", ":")))


def caption_file(name):
    """The caption of a figure or table in Snakemake's own report; the stage writes it."""
    return str(Path(f"results/{STUDY}/{name}.rst").absolute())


def files_of(folder):
    """The files of a model folder."""
    return [f"{folder}/{name}" for name in MODEL_FILES]


def constituents(wildcards):
    """The categories that a draw merges; one for each expert."""
    count, seed = wildcards.draw.removeprefix("n").split("-s")
    return draw(int(count), int(seed), list(HELD_IN))


def expert_weights(categories):
    """Input function: the weights of the experts of some categories (a list or a function)."""

    def weights(wildcards):
        names = categories(wildcards) if callable(categories) else categories
        folder = f"results/{STUDY}/models/{wildcards.size}/{wildcards.base}/experts"
        return [f"{folder}/{name}/model.safetensors" for name in names]

    return weights


def expert_arguments(categories):
    """`category=folder` for each expert, as `--experts` wants them."""

    def arguments(wildcards):
        names = categories(wildcards) if callable(categories) else categories
        folder = f"results/{STUDY}/models/{wildcards.size}/{wildcards.base}/experts"
        return [f"{name}={folder}/{name}" for name in names]

    return arguments


def category_arguments(held_in):
    """--held-in and --held-out: some held-in categories and all held-out ones with their tasks."""
    named = {"held-in": {name: HELD_IN[name] for name in held_in}, "held-out": HELD_OUT}
    return " ".join(
        flags({role: [f"{name}={','.join(tasks)}" for name, tasks in groups.items()]})
        for role, groups in named.items()
    )


def evaluation_arguments():
    """How models are scored, alike for all of them."""
    return flags(
        {
            **config["evaluation"],
            "max_length": config["models"]["max_length"],
            "device": config["compute"]["device"],
        }
    )


def task_files(held_in, splits):
    """The files that scoring reads: some held-in categories' and all held-out ones' tasks."""
    tasks = [task for name in held_in for task in HELD_IN[name]]
    tasks += [task for group in HELD_OUT.values() for task in group]
    return expand(
        "results/{study}/tasks/{task}/{file}",
        study=STUDY,
        task=tasks,
        file=[*(f"{split}.parquet" for split in splits), "task.json"],
    )


def tasks_digest(section):
    """Digest of the code behind the rows of `tasks` or `mixture`, which its source decides."""
    micro = config[section]["source"] == "micro"
    return code_digest("micro_tasks" if micro else f"public_{section}")


def task_arguments(wildcards):
    """Where a dataset's rows come from, the prompt templates, and how many there are."""
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
            # No expert is trained on it.
            "held_out_task": wildcards.task in study.held_out_tasks(config),
        }
    return flags(settings)


def training_arguments(stage):
    """Arguments of a training stage for a size: how long, how fast, where it goes on."""

    # `auto` is left out, so that nothing is trained again for being asked for by its name.
    asked = config["compute"]["precision"]
    precision = {} if asked == "auto" else {"precision": asked}

    def arguments(wildcards):
        settings = study.stage(config, stage, wildcards.size)
        return flags(
            {
                **settings,
                "max_length": config["models"]["max_length"],
                "seed": config["seed"],
                "device": config["compute"]["device"],
                "micro_batch": config["compute"]["micro_batch"] or None,
                **precision,
            }
        )

    return arguments


def training_threads(wildcards):
    """CPU threads of a training job on each of its nodes."""
    compute = config["compute"]
    return compute["threads"] * compute["processes"] // compute["nodes"]


# Where a training job runs, for its shell command. These are resources: among the rule's parameters
# they would train all models again on another cluster, to the same weights.
PLACE = (
    " --threads {threads} --processes {resources.processes}"
    " --gpus {resources.gpu} --nodes {resources.nodes} --sharding {resources.sharding}"
)


def origin(wildcards):
    """What a pre-trained base is made from: nothing of ours where the size is a local checkpoint."""
    folder = f"results/{STUDY}"
    match study.origin(config, wildcards.size):
        case "hub":
            return [f"{folder}/hub/{wildcards.size}/hub.json"]
        case "scratch":
            return [f"{folder}/tokenizer/tokenizer.json", f"{folder}/corpus.parquet"]
    return []


def hub_arguments(size):
    """Which model of the hub a size is."""
    settings = config["models"]["sizes"][size]
    return flags({"repo": settings["hub"], "revision": settings["revision"]})


def pretraining(wildcards):
    """The command that makes a pre-trained base: training from scratch, or adopting a model."""
    size = config["models"]["sizes"][wildcards.size]
    folder = f"results/{STUDY}"
    match study.origin(config, wildcards.size):
        case "hub":
            return f"adopt --checkpoint {folder}/hub/{wildcards.size}"
        case "checkpoint":
            return f"adopt --checkpoint {shlex.quote(size['checkpoint'])}"
    return (
        f"pretrain --tokenizer {folder}/tokenizer --corpus {folder}/corpus.parquet"
        f" --architecture {as_json(size)} {training_arguments('pretrain')(wildcards)}"
        f" --checkpoint-dir {folder}/.checkpoints/{wildcards.size}/pt --label 'pretrain {wildcards.size}'"
    )


def job_resources(rule):
    """What the jobs of a rule request from the scheduler; a local run ignores it."""
    return resource_functions(config, rule)


def train_files(categories):
    """Train rows of the tasks of some categories."""
    return [
        f"results/{STUDY}/tasks/{task}/train.parquet"
        for name in categories
        for task in HELD_IN[name]
    ]


def mixture_files():
    """The mixture, and what was removed from it where its rows are not made up."""
    names = {"rows": "flan.parquet"}
    if config["mixture"]["source"] != "micro":
        names |= {"removed": "removed.csv", "record": "mixture.json"}
    return {key: f"results/{{study}}/mixture/{name}" for key, name in names.items()}


def evaluation_rows():
    """What the mixture is checked against: nothing where it is made up or the check is off."""
    mixture = config["mixture"]
    if mixture["source"] == "micro" or mixture["overlap"]["against"] == "none":
        return []
    return expand(
        "results/{{study}}/tasks/{task}/{split}.parquet",
        task=study.tasks(config),
        split=["validation", "test"],
    )


def mixture_settings():
    """The arguments of the mixture's source."""
    mixture = config["mixture"]
    settings = {"source": mixture["source"]}
    if mixture["source"] == "folder":
        settings["folder"] = mixture["folder"]
    if mixture["source"] == "hub":
        settings |= {key: mixture[key] for key in ("repo", "revision", "files")}
        settings |= {f"{key}_column": name for key, name in mixture["columns"].items()}
    if evaluation_rows():
        settings["ngram"] = mixture["overlap"]["ngram"]
        settings["tasks"] = [f"results/{STUDY}/tasks/{task}" for task in study.tasks(config)]
    return flags({**settings, "rows": mixture["rows"], "seed": config["seed"]})
