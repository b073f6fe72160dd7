"""Fine-tuned models of every base: one expert a category, and one multitask model."""


rule expert:
    """Fine-tune {wildcards.size} {wildcards.base} on {wildcards.category}."""
    input:
        weights="results/{study}/models/{size}/{base}/model.safetensors",
        data=lambda w: train_files([w.category]),
    output:
        files_of("results/{study}/models/{size}/{base}/experts/{category}"),
    log:
        "logs/expert/{study}/{size}/{base}/{category}.log",
    benchmark:
        "benchmarks/expert/{study}/{size}/{base}/{category}.jsonl"
    conda:
        ENVIRONMENT
    threads: training_threads
    resources:
        **job_resources("expert"),
    params:
        code=code_digest("training"),
        base=lambda w, input: Path(input.weights).parent,
        folder=lambda w, output: Path(output[0]).parent,
        settings=training_arguments("expert"),
    shell:
        "mergescale finetune --stage expert --base {params.base} --data {input.data}"
        f" {{params.settings}}{LAUNCH_FLAGS}"
        " --checkpoint-dir results/{wildcards.study}/.checkpoints/{wildcards.size}/{wildcards.base}-{wildcards.category}"
        " --label 'expert {wildcards.size} {wildcards.base} {wildcards.category}'"
        " --out {params.folder} --timing {log}.json 2> {log}"


rule multitask:
    """Fine-tune {wildcards.size} {wildcards.base} on all held-in categories at once."""
    input:
        weights="results/{study}/models/{size}/{base}/model.safetensors",
        data=train_files(HELD_IN),
    output:
        files_of("results/{study}/models/{size}/{base}/multitask"),
    log:
        "logs/multitask/{study}/{size}/{base}.log",
    benchmark:
        "benchmarks/multitask/{study}/{size}/{base}.jsonl"
    conda:
        ENVIRONMENT
    threads: training_threads
    resources:
        **job_resources("multitask"),
    params:
        code=code_digest("training"),
        base=lambda w, input: Path(input.weights).parent,
        folder=lambda w, output: Path(output[0]).parent,
        settings=training_arguments("multitask"),
    shell:
        "mergescale finetune --stage multitask --base {params.base} --data {input.data}"
        f" {{params.settings}}{LAUNCH_FLAGS}"
        " --checkpoint-dir results/{wildcards.study}/.checkpoints/{wildcards.size}/{wildcards.base}-multitask"
        " --label 'multitask {wildcards.size} {wildcards.base}'"
        " --out {params.folder} --timing {log}.json 2> {log}"
