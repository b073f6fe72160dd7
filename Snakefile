"""mergescale: "What Matters for Model Merging at Scale?" (arXiv 2410.03617), rerun from files.

Run `snakemake` (the default profile takes all cores) or `snakemake --cores all`; a number or `all`
must follow `--cores`. Another study: `snakemake --configfile config/smoke.yaml`.

The files of a study ({base} is pt or it, {draw} is n<count>-s<seed>; results/README.md says more):

  results/{study}/tasks/{task}/{train,validation,test}.parquet, task.json     task data, prompts
  results/{study}/corpus.parquet, mixture/flan.parquet, tokenizer/            what bases learn from
  results/{study}/models/{size}/{base}/                                       a base
  results/{study}/models/{size}/{base}/experts/{category}/                    its experts
  results/{study}/models/{size}/{base}/multitask/                             its multitask model
  results/{study}/draws.csv                                                   what is merged
  results/{study}/scores/{size}/{base}/{base,multitask}.json, experts/{category}.json
  results/{study}/scores/{size}/{base}/merges/{draw}/{method}.json            sweep, choice, scores
  results/{study}/predictions/...                                             every example, parquet
  results/{study}/merges/{size}/{base}/{draw}/{method}/                       made on demand
  results/{study}/scores.csv, tasks.csv, study.json, timing.csv               the study at a glance
  results/{study}/normalized.csv, performance.csv                             scores / references
  results/{study}/tables/, figures/, report.html                              what the paper shows

A size from the Hugging Face hub is fetched into results/{study}/hub/{size}/ first.
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


# Seconds each, or in need of a network: on a cluster they run where Snakemake runs.
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
    """Everything the paper shows: figures, tables, and a report to read them in."""
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


onsuccess:
    print_summary(workflow, f"results/{STUDY}")
