"""From scores to normalized performance, and the tables."""


rule performance:
    """Normalize by experts and bases; average over datasets, categories and draws."""
    input:
        scores="results/{study}/scores.csv",
        draws="results/{study}/draws.csv",
    output:
        normalized="results/{study}/normalized.csv",
        performance="results/{study}/performance.csv",
    log:
        "logs/performance/{study}.log",
    conda:
        ENVIRONMENT
    resources:
        **job_resources("performance"),
    params:
        code=code_digest("analysis"),
    shell:
        "mergescale performance --scores {input.scores} --draws {input.draws}"
        " --normalized {output.normalized} --performance {output.performance}"
        " --timing {log}.json 2> {log}"


rule tables:
    """Write Tables 1-4 and the table of all tasks."""
    input:
        performance="results/{study}/performance.csv",
        scores="results/{study}/scores.csv",
        tasks="results/{study}/tasks.csv",
    output:
        expand(
            "results/{{study}}/tables/{table}.{format}",
            table=TABLES,
            format=["md", "tex", "rst"],
        ),
        **{
            table: report(
                f"results/{{study}}/tables/{table}.csv",
                category="Tables",
                caption=caption_file(f"tables/{table}"),
                labels={"table": table.removeprefix("table")},
            )
            for table in TABLES
        },
    log:
        "logs/tables/{study}.log",
    conda:
        ENVIRONMENT
    resources:
        **job_resources("tables"),
    params:
        code=code_digest("tables"),
        sizes=SIZES,
        methods=METHODS,
        folder=lambda w, output: Path(output[0]).parent,
    shell:
        "mergescale tables --performance {input.performance} --scores {input.scores}"
        " --tasks {input.tasks} --sizes {params.sizes} --methods {params.methods}"
        " --out {params.folder} --timing {log}.json 2> {log}"
