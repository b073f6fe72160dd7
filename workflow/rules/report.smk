"""report.html: the whole study on one page that needs nothing else."""


rule study_record:
    """Write what the study is: sizes, counts, seeds, methods, settings."""
    input:
        expand("results/{{study}}/models/{size}/{base}/training.json", size=SIZES, base=BASES),
    output:
        "results/{study}/study.json",
    log:
        "logs/study_record/{study}.log",
    conda:
        ENVIRONMENT
    resources:
        **job_resources("study_record"),
    params:
        about=as_json(
            {
                "name": STUDY,
                "seed": config["seed"],
                "sizes": SIZES,
                "bases": BASES,
                "held_in_categories": list(HELD_IN),
                "held_out_categories": list(HELD_OUT),
                "counts": config["draws"]["counts"],
                "draws_per_count": len(config["draws"]["seeds"]),
                "methods": [
                    {"method": name, **study.method_settings(config, name)} for name in METHODS
                ],
                "evaluation": {
                    **config["evaluation"],
                    "max_length": config["models"]["max_length"],
                },
            }
        ),
    shell:
        "mergescale study-record --about {params.about}"
        " --models results/{wildcards.study}/models --out {output} 2> {log}"


rule timing:
    """Sum up what the wall time of the study's jobs was spent on."""
    input:
        "results/{study}/performance.csv",
        # After the figures, to count them in; redrawn figures are no reason to count again.
        ancient(f"results/{{study}}/figures/{FIGURES[0]}.png"),
        ancient(f"results/{{study}}/tables/{TABLES[0]}.csv"),
    output:
        "results/{study}/timing.csv",
    log:
        "logs/timing/{study}.log",
    conda:
        ENVIRONMENT
    resources:
        **job_resources("timing"),
    shell:
        "mergescale timing --study {wildcards.study} --out {output} 2> {log}"


rule report:
    """Write the report: figures, tables, every task at every size, provenance."""
    input:
        study="results/{study}/study.json",
        performance="results/{study}/performance.csv",
        normalized="results/{study}/normalized.csv",
        scores="results/{study}/scores.csv",
        tasks="results/{study}/tasks.csv",
        timing="results/{study}/timing.csv",
        figures=expand(
            "results/{{study}}/figures/{figure}.{format}",
            figure=FIGURES,
            format=["svg", "png", "rst"],
        ),
        tables=expand("results/{{study}}/tables/{table}.csv", table=TABLES),
    output:
        report("results/{study}/report.html", category="Report", caption="../report/report.rst"),
    log:
        "logs/report/{study}.log",
    conda:
        ENVIRONMENT
    resources:
        **job_resources("report"),
    params:
        code=code_digest("report"),
        figures=lambda w, input: Path(input.figures[0]).parent,
        tables=lambda w, input: Path(input.tables[0]).parent,
    shell:
        "mergescale report --study {input.study} --performance {input.performance}"
        " --scores {input.scores} --normalized {input.normalized} --tasks {input.tasks}"
        " --figures {params.figures} --tables {params.tables} --timing-table {input.timing}"
        " --out {output} 2> {log}"
