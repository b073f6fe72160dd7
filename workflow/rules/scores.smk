"""Scores of what merges are compared with, and the table of all scores."""


rule reference_scores:
    """Score the {wildcards.size} {wildcards.base} base, its experts and its multitask model."""
    input:
        base="results/{study}/models/{size}/{base}/model.safetensors",
        multitask="results/{study}/models/{size}/{base}/multitask/model.safetensors",
        experts=expert_weights(HELD_IN),
        tasks=task_files(HELD_IN, ["test"]),
    output:
        scores=expand(
            "results/{{study}}/scores/{{size}}/{{base}}/{model}.json",
            model=["base", "multitask", *(f"experts/{name}" for name in HELD_IN)],
        ),
        predictions=expand(
            "results/{{study}}/predictions/{{size}}/{{base}}/{model}.parquet",
            model=["base", "multitask", *(f"experts/{name}" for name in HELD_IN)],
        ),
    log:
        "logs/reference_scores/{study}/{size}/{base}.log",
    benchmark:
        "benchmarks/reference_scores/{study}/{size}/{base}.jsonl"
    conda:
        ENVIRONMENT
    threads: config["compute"]["threads"]
    resources:
        **job_resources("reference_scores"),
    params:
        code=code_digest("evaluation", "scoring"),
        models=lambda w: f"results/{w.study}/models/{w.size}/{w.base}",
        experts=expert_arguments(HELD_IN),
        categories=category_arguments(HELD_IN),
        evaluation=evaluation_arguments(),
        metadata=lambda w: as_json({"size": w.size, "base": w.base}),
    shell:
        "mergescale reference-scores --base {params.models}"
        " --multitask {params.models}/multitask --experts {params.experts}"
        " --tasks results/{wildcards.study}/tasks {params.categories} {params.evaluation}"
        " --threads {threads} --cache-dir results/{wildcards.study}/.cache"
        " --scores results/{wildcards.study}/scores/{wildcards.size}/{wildcards.base}"
        " --predictions results/{wildcards.study}/predictions/{wildcards.size}/{wildcards.base}"
        " --metadata {params.metadata} --label 'score {wildcards.size} {wildcards.base}'"
        " --timing {log}.json 2> {log}"


rule scores:
    """Gather every score file of the study."""
    input:
        expand(
            "results/{{study}}/scores/{size}/{base}/{model}.json",
            size=SIZES,
            base=BASES,
            model=[
                "base",
                "multitask",
                *(f"experts/{name}" for name in HELD_IN),
                *(f"merges/{draw}/{method}" for draw in DRAWS for method in METHODS),
            ],
        ),
    output:
        "results/{study}/scores.csv",
    log:
        "logs/scores/{study}.log",
    conda:
        ENVIRONMENT
    resources:
        **job_resources("scores"),
    params:
        code=code_digest("scores"),
    shell:
        "mergescale scores {input} --out {output} 2> {log}"
