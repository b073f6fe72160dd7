"""Base models of every size: pre-trained (pt) and instruction-tuned (it)."""


rule tokenizer:
    """Train the micro world's word-level tokenizer."""
    output:
        multiext("results/{study}/tokenizer/", "tokenizer.json", "tokenizer_config.json"),
    log:
        "logs/tokenizer/{study}.log",
    benchmark:
        "benchmarks/tokenizer/{study}.jsonl"
    conda:
        ENVIRONMENT
    resources:
        **job_resources("tokenizer"),
    params:
        code=code_digest("micro_tasks"),
        folder=lambda w, output: Path(output[0]).parent,
    shell:
        "mergescale tokenizer --out {params.folder} 2> {log}"


# Compute nodes often have no network: it runs where Snakemake does.
localrules:
    hub_model,


rule hub_model:
    """Fetch {wildcards.size} from the Hugging Face hub; an interrupted download resumes."""
    output:
        "results/{study}/hub/{size}/hub.json",
    log:
        "logs/hub_model/{study}/{size}.log",
    conda:
        ENVIRONMENT
    resources:
        **job_resources("hub_model"),
    params:
        model=lambda w: hub_arguments(w.size),
        folder=lambda w, output: Path(output[0]).parent,
    shell:
        "mergescale fetch-model {params.model} --out {params.folder} 2> {log}"


rule pretrained_base:
    """Pre-train {wildcards.size} from scratch, or adopt its checkpoint."""
    input:
        base_inputs,
    output:
        files_of("results/{study}/models/{size}/pt"),
    log:
        "logs/pretrained_base/{study}/{size}.log",
    benchmark:
        "benchmarks/pretrained_base/{study}/{size}.jsonl"
    conda:
        ENVIRONMENT
    threads: training_threads
    resources:
        **job_resources("pretrained_base"),
    params:
        code=code_digest("training"),
        folder=lambda w, output: Path(output[0]).parent,
        command=base_command,
    shell:
        "mergescale {params.command} --out {params.folder}"
        f"{LAUNCH_FLAGS} --timing {{log}}.json 2> {{log}}"


rule instruction_tuned_base:
    """Instruction-tune {wildcards.size} on the mixture."""
    input:
        weights="results/{study}/models/{size}/pt/model.safetensors",
        mixture="results/{study}/mixture/flan.parquet",
    output:
        files_of("results/{study}/models/{size}/it"),
    log:
        "logs/instruction_tuned_base/{study}/{size}.log",
    benchmark:
        "benchmarks/instruction_tuned_base/{study}/{size}.jsonl"
    conda:
        ENVIRONMENT
    threads: training_threads
    resources:
        **job_resources("instruction_tuned_base"),
    params:
        code=code_digest("training"),
        base=lambda w, input: Path(input.weights).parent,
        folder=lambda w, output: Path(output[0]).parent,
        settings=training_arguments("instruct"),
    shell:
        "mergescale finetune --stage instruct --base {params.base} --data {input.mixture}"
        f" {{params.settings}}{LAUNCH_FLAGS}"
        " --checkpoint-dir results/{wildcards.study}/.checkpoints/{wildcards.size}/it"
        " --label 'instruct {wildcards.size}' --out {params.folder} --timing {log}.json 2> {log}"


# The largest size is the longest chain of jobs: it goes first.
use rule pretrained_base as pretrained_base_of_largest with:
    wildcard_constraints:
        size=SIZES[-1],
    priority: 100


use rule instruction_tuned_base as instruction_tuned_base_of_largest with:
    wildcard_constraints:
        size=SIZES[-1],
    priority: 100


ruleorder: pretrained_base_of_largest > pretrained_base
ruleorder: instruction_tuned_base_of_largest > instruction_tuned_base
