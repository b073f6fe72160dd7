"""Merges: which experts, every method with its sweep, and merged models on demand."""


rule draws:
    """Write which categories each draw merges; all bases, sizes and methods share the draws."""
    output:
        "results/{study}/draws.csv",
    log:
        "logs/draws/{study}.log",
    conda:
        ENVIRONMENT
    resources:
        **job_resources("draws"),
    params:
        code=code_digest("draws"),
        settings=flags({**config["draws"], "categories": list(HELD_IN)}),
    shell:
        # On the terminal as well, as a seed that repeats a set is only a warning.
        "mergescale draws {params.settings} --out {output} 2>&1 | tee {log} >&2"


rule expert_statistics:
    """Write {wildcards.kind} statistics of the {wildcards.category} expert of {wildcards.size} {wildcards.base}."""
    input:
        weights="results/{study}/models/{size}/{base}/experts/{category}/model.safetensors",
        data=lambda w: train_files([w.category]),
    output:
        "results/{study}/statistics/{size}/{base}/{category}/{kind}.safetensors",
    log:
        "logs/expert_statistics/{study}/{size}/{base}/{category}/{kind}.log",
    benchmark:
        "benchmarks/expert_statistics/{study}/{size}/{base}/{category}/{kind}.jsonl"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **job_resources("expert_statistics"),
    params:
        code=code_digest("statistics"),
        model=lambda w, input: Path(input.weights).parent,
        settings=flags(
            {
                "max_length": config["models"]["max_length"],
                "device": config["compute"]["device"],
            }
        ),
    shell:
        "mergescale expert-statistics --model {params.model} --data {input.data}"
        " --kind {wildcards.kind} {params.settings} --threads {threads}"
        " --label '{wildcards.kind} {wildcards.size} {wildcards.base} {wildcards.category}'"
        " --out {output} --timing {log}.json 2> {log}"


rule merge_scores:
    """Merge draw {wildcards.draw} of {wildcards.size} {wildcards.base} by every method, and score."""
    input:
        base="results/{study}/models/{size}/{base}/model.safetensors",
        experts=expert_weights(constituents),
        tasks=lambda w: task_files(constituents(w), ["validation", "test"]),
        statistics=lambda w: list(statistics_files(w).values()),
    output:
        scores=expand(
            "results/{{study}}/scores/{{size}}/{{base}}/merges/{{draw}}/{method}.json",
            method=METHODS,
        ),
        predictions=expand(
            "results/{{study}}/predictions/{{size}}/{{base}}/merges/{{draw}}/{method}.parquet",
            method=METHODS,
        ),
    log:
        "logs/merge_scores/{study}/{size}/{base}/{draw}.log",
    benchmark:
        "benchmarks/merge_scores/{study}/{size}/{base}/{draw}.jsonl"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **job_resources("merge_scores"),
    params:
        code=[code_digest("evaluation", "scoring", "sweep"), *map(method_digest, METHODS)],
        base=lambda w, input: Path(input.base).parent,
        experts=expert_arguments(constituents),
        categories=lambda w: category_arguments(constituents(w)),
        methods=as_json({name: study.method_settings(config, name) for name in METHODS}),
        statistics=statistics_arguments,
        seed=lambda w: int(w.draw.split("-s")[1]),
        evaluation=evaluation_arguments(),
        metadata=lambda w: as_json(
            {
                "size": w.size,
                "base": w.base,
                "count": int(w.draw.removeprefix("n").split("-s")[0]),
                "seed": int(w.draw.split("-s")[1]),
            }
        ),
    shell:
        "mergescale merge-scores --base {params.base} --experts {params.experts}"
        " --seed {params.seed} --methods {params.methods} {params.statistics}"
        " --tasks results/{wildcards.study}/tasks {params.categories} {params.evaluation}"
        " --threads {threads} --cache-dir results/{wildcards.study}/.cache"
        " --scores results/{wildcards.study}/scores/{wildcards.size}/{wildcards.base}/merges/{wildcards.draw}"
        " --predictions results/{wildcards.study}/predictions/{wildcards.size}/{wildcards.base}/merges/{wildcards.draw}"
        " --metadata {params.metadata} --label 'merge {wildcards.size} {wildcards.base} {wildcards.draw}'"
        " --timing {log}.json 2> {log}"


rule merged_model:
    """Write the merge of {wildcards.draw} by {wildcards.method} as a Hugging Face folder."""
    input:
        scores="results/{study}/scores/{size}/{base}/merges/{draw}/{method}.json",
        base="results/{study}/models/{size}/{base}/model.safetensors",
        experts=expert_weights(constituents),
        statistics=lambda w: list(statistics_files(w).values()),
    output:
        directory("results/{study}/merges/{size}/{base}/{draw}/{method}"),
    log:
        "logs/merged_model/{study}/{size}/{base}/{draw}/{method}.log",
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **job_resources("merged_model"),
    params:
        code=lambda w: [code_digest("streaming"), method_digest(w.method)],
        base=lambda w, input: Path(input.base).parent,
        experts=expert_arguments(constituents),
        statistics=statistics_arguments,
    shell:
        "mergescale merged-model --scores {input.scores} --base {params.base}"
        " --experts {params.experts} {params.statistics} --threads {threads} --out {output} 2> {log}"
