"""All figures, each from performance.csv alone, in one style."""

STYLE = "config/style.yaml"


rule figures:
    """Draw all figures as PDF, SVG and PNG."""
    input:
        performance="results/{study}/performance.csv",
        style=STYLE,
    output:
        expand(
            "results/{{study}}/figures/{figure}.{format}",
            figure=FIGURES,
            format=["pdf", "svg", "rst"],
        ),
        **{
            figure: report(
                f"results/{{study}}/figures/{figure}.png",
                category="Figures",
                caption=caption_file(f"figures/{figure}"),
                labels={"figure": figure.removeprefix("figure")},
            )
            for figure in FIGURES
        },
    log:
        "logs/figures/{study}.log",
    benchmark:
        "benchmarks/figures/{study}.jsonl"
    conda:
        ENVIRONMENT
    resources:
        **job_resources("figures"),
    params:
        code=code_digest("figures"),
        sizes=SIZES,
        methods=METHODS,
        folder=lambda w, output: Path(output[0]).parent,
    shell:
        "mergescale figures --performance {input.performance} --style {input.style}"
        " --sizes {params.sizes} --methods {params.methods} --out {params.folder}"
        " --timing {log}.json 2> {log}"
