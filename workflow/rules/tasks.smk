"""Task files, and the mixture and corpus that bases are trained on."""

# Downloads run where Snakemake runs: compute nodes often have no network.
if config["mixture"]["source"] == "hub":

    localrules:
        mixture,


rule task:
    """Write the train, validation and test examples of {wildcards.task}."""
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
        **job_resources("task"),
    params:
        code=tasks_digest("tasks"),
        folder=lambda w, output: Path(output[0]).parent,
        settings=task_arguments,
    shell:
        "mergescale task {wildcards.task} {params.settings} --out {params.folder} 2> {log}"


rule task_table:
    """Write the table of tasks: category, metric, chance level and ceiling."""
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
        **job_resources("task_table"),
    params:
        code=tasks_digest("tasks"),
        categories=category_arguments(HELD_IN),
        rows=config["evaluation"]["test_rows"],
    shell:
        "mergescale task-table --tasks results/{wildcards.study}/tasks {params.categories}"
        " --rows {params.rows} --out {output} 2> {log}"


rule mixture:
    """Write the instruction mixture without evaluation tasks, and what was removed from it."""
    input:
        evaluation_rows(),
    output:
        **mixture_files(),
    log:
        "logs/mixture/{study}.log",
    benchmark:
        "benchmarks/mixture/{study}.jsonl"
    conda:
        ENVIRONMENT
    resources:
        **job_resources("mixture"),
    params:
        code=tasks_digest("mixture"),
        settings=mixture_arguments(),
    shell:
        "mergescale mixture {params.settings} --out {output.rows} 2> {log}"


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
        **job_resources("corpus"),
    params:
        code=code_digest("micro_tasks"),
        settings=flags({"source": "micro", **config["corpus"], "seed": config["seed"]}),
    shell:
        "mergescale corpus {params.settings} --out {output} 2> {log}"
