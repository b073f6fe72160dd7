"""Figures 1-7, each from performance.csv alone, in one style."""

STYLE = "config/style.yaml"


rule figures:
    """Draw all figures as PDF, SVG and PNG."""
    input:
        performance="results/{study}/performance.csv",
        style=STYLE,
    output:
        expand("results/{{study}}/figures/{figure}.{format}", figure=FIGURES, format=["pdf", "svg"]),
        **{
            figure: report(
                f"results/{{study}}/figures/{figure}.png",
                category="Figures",
                caption=f"../report/{figure}.rst",
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
        script=f"{SCRIPTS}/figure.py",
        sizes=",".join(SIZES),
        methods=",".join(METHODS),
        folder=lambda w, output: Path(output[0]).parent,
    shell:
        "python {params.script} --figure all --performance {input.performance} --style {input.style}"
        " --sizes {params.sizes} --methods {params.methods} --outdir {params.folder} --timing {log}.json 2> {log}"
