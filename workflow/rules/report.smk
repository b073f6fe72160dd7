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
                "held-in categories": list(HELD_IN),
                "held-out categories": list(HELD_OUT),
                "experts merged": config["draws"]["counts"],
                "draws of each count": len(config["draws"]["seeds"]),
                "methods": [
                    {"method": name, **study.method_settings(config, name)} for name in METHODS
                ],
                "evaluation": config["evaluation"],
            }
        ),
    shell:
        "mergescale study-record --about {params.about}"
        " --models results/{wildcards.study}/models --out {output} 2> {log}"


rule timing:
    """Sum up where the wall time of the study's jobs went."""
    input:
        "results/{study}/performance.csv",
        # After the figures, to count them in; a new style of figures is no reason to count again.
        ancient("results/{study}/figures/figure1a.png"),
        ancient("results/{study}/tables/table1.csv"),
    output:
        "results/{study}/timing.csv",
    log:
        "logs/timing/{study}.log",
    conda:
        ENVIRONMENT
    resources:
        **job_resources("timing"),
    shell:
        "mergescale timing-table --study {wildcards.study} --out {output} 2> {log}"


rule report:
    """Write the report: figures, tables, every task at every size, provenance."""
    input:
        study="results/{study}/study.json",
        performance="results/{study}/performance.csv",
        normalised="results/{study}/normalised.csv",
        scores="results/{study}/scores.csv",
        tasks="results/{study}/tasks.csv",
        timing="results/{study}/timing.csv",
        figures=expand(
            "results/{{study}}/figures/{figure}.{format}", figure=FIGURES, format=["svg", "png"]
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
        script=f"{SCRIPTS}/report.py",
        figures=lambda w, input: Path(input.figures[0]).parent,
        tables=lambda w, input: Path(input.tables[0]).parent,
    shell:
        "python {params.script} --study {input.study} --performance {input.performance}"
        " --scores {input.scores} --normalised {input.normalised} --tasks {input.tasks}"
        " --figures {params.figures} --tables {params.tables} --timing {input.timing}"
        " --out {output} 2> {log}"
