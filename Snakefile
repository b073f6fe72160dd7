"""mergescale: reproduce the study "What Matters for Model Merging at Scale?" (arXiv 2410.03617).

Run `snakemake` (all cores, by profiles/default) or `snakemake --cores 4`; for another study,
`snakemake --configfile config/smoke.yaml`.

The files of a study ({base} is pt or it, {draw} is n<count>-s<seed>; see results/README.md):

  results/{study}/tasks/{task}/{train,validation,test}.parquet, task.json     task data, prompts
  results/{study}/corpus.parquet, tokenizer/                                  training data of bases
  results/{study}/mixture/flan.parquet, removed.csv, mixture.json             the instruction mixture
  results/{study}/models/{size}/{base}/                                       base models
  results/{study}/models/{size}/{base}/experts/{category}/                    experts
  results/{study}/models/{size}/{base}/multitask/                             multitask models
  results/{study}/draws.csv                                                   experts of each draw
  results/{study}/scores/{size}/{base}/{base,multitask}.json, experts/{category}.json
  results/{study}/scores/{size}/{base}/merges/{draw}/{method}.json            sweep, selection, scores
  results/{study}/predictions/...                                             prediction for each example
  results/{study}/merges/{size}/{base}/{draw}/{method}/                       merged models, on demand
  results/{study}/scores.csv, tasks.csv, study.json, timing.csv               summary tables
  results/{study}/normalized.csv, performance.csv                             scores / references
  results/{study}/tables/, figures/, report.html                              the paper's tables and figures

A size from the Hugging Face hub is first downloaded into results/{study}/hub/{size}/. Experts have
statistics files, results/{study}/statistics/{size}/{base}/{category}/{kind}.safetensors, where a
method needs them.
"""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/tasks.smk"
include: "workflow/rules/bases.smk"
include: "workflow/rules/experts.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/merges.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


# They take seconds or need a network: on a cluster they run where Snakemake runs.
localrules:
    all,
    draws,
    figures,
    performance,
    report,
    scores,
    study_record,
    tables,
    task,
    task_table,
    timing,
    tokenizer,


rule all:
    """All figures and tables of the paper, and a report with them."""
    default_target: True
    input:
        expand(
            "results/{study}/figures/{figure}.{format}",
            study=STUDY,
            figure=FIGURES,
            format=FORMATS,
        ),
        expand(
            "results/{study}/tables/{table}.{format}",
            study=STUDY,
            table=TABLES,
            format=["csv", "md", "tex"],
        ),
        expand("results/{study}/report.html", study=STUDY),


onstart:
    disable_job_rate_limit(workflow)
    stop_gracefully_on_sigterm(workflow)
    guard_run(workflow)
    start_job_server(workflow, config["compute"]["job_server"])


onsuccess:
    print_summary(workflow, f"results/{STUDY}")
