"""What is asked of the models, and what bases learn from."""

# It is fetched where Snakemake runs: compute nodes often have no network.
if config["mixture"]["source"] == "hub":

    localrules:
        mixture,


rule task:
    """Write the train, validation and test rows of {wildcards.task}."""
    output:
        multiext(
            "results/{study}/tasks/{task}/",
            "train.parquet",
            "validation.parquet",
            "test.parquet",
            "task.json",
        ),
    log:
        "logs/task/{study}/{task}.log",
    benchmark:
        "benchmarks/task/{study}/{task}.jsonl"
    conda:
        ENVIRONMENT
    resources:
        **asked_for("task"),
    params:
        code=tasks_digest("tasks"),
        folder=lambda w, output: Path(output[0]).parent,
        settings=task_arguments,
    shell:
        "python -m mergescale task {wildcards.task} {params.settings} --out {params.folder} 2> {log}"


rule task_table:
    """Write what each task asks, with its chance level and ceiling."""
    input:
        expand(
            "results/{{study}}/tasks/{task}/{file}",
            task=study.tasks(config),
            file=["test.parquet", "task.json"],
        ),
    output:
        "results/{study}/tasks.csv",
    log:
        "logs/task_table/{study}.log",
    conda:
        ENVIRONMENT
    resources:
        **asked_for("task_table"),
    params:
        code=tasks_digest("tasks"),
        categories=category_arguments(HELD_IN),
        rows=config["evaluation"]["test_rows"],
    shell:
        "python -m mergescale task-table --tasks results/{wildcards.study}/tasks {params.categories}"
        " --rows {params.rows} --out {output} 2> {log}"


MIXTURE = "results/{study}/mixture/"


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


rule mixture:
    """Write the instruction mixture, without the evaluation tasks, and what was removed from it."""
    input:
        evaluation_rows(),
    output:
        [MIXTURE + "flan.parquet"]
        if config["mixture"]["source"] == "micro"
        else multiext(MIXTURE, "flan.parquet", "removed.csv", "mixture.json"),
    log:
        "logs/mixture/{study}.log",
    benchmark:
        "benchmarks/mixture/{study}.jsonl"
    conda:
        ENVIRONMENT
    resources:
        **asked_for("mixture"),
    params:
        code=tasks_digest("mixture"),
        settings=mixture_settings(),
    shell:
        "python -m mergescale mixture {params.settings} --out {output[0]} 2> {log}"


rule corpus:
    """Write the pre-training corpus of the micro world: stories and facts."""
    output:
        "results/{study}/corpus.parquet",
    log:
        "logs/corpus/{study}.log",
    benchmark:
        "benchmarks/corpus/{study}.jsonl"
    conda:
        ENVIRONMENT
    resources:
        **asked_for("corpus"),
    params:
        code=code_digest("micro_tasks"),
        settings=flags({"source": "micro", **config["corpus"], "seed": config["seed"]}),
    shell:
        "python -m mergescale corpus {params.settings} --out {output} 2> {log}"
