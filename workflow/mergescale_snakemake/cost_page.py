"""Write the tables of docs/paper_scale.md, computed from the resource formulas.

    python -m mergescale_snakemake.cost_page [--check]

replaces the text between `<!-- name -->` and `<!-- end -->`. With --check it writes nothing and
fails if the page is out of date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mergescale.config import load
from mergescale.config import selectors as study
from mergescale_snakemake.cost_plan import Cost, sum_costs
from mergescale_snakemake.job_resources import request

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "paper_scale.md"
CONFIGS = {
    "smoke": [ROOT / "config" / name for name in ("config.yaml", "smoke.yaml")],
    "default": [ROOT / "config" / "config.yaml"],
    "paper": [ROOT / "config" / name for name in ("config.yaml", "paper.yaml")],
}
# The rows of the tables: a rule, and how many experts it merges.
JOB_KINDS = [
    ("pretrained_base", None),
    ("instruction_tuned_base", None),
    ("expert", None),
    ("multitask", None),
    ("reference_scores", None),
    ("merge_scores", 2),
    ("merge_scores", 8),
    ("merged_model", 8),
]


def sbatch_call(resources: dict[str, int | str], threads: int) -> str:
    """The call for one job, as snakemake-executor-plugin-slurm 2.8.0 writes it.

    What a site or a run fills in is in angle brackets.

    Args:
        resources: mem_mb, runtime (minutes), gpu and nodes, as `machine.scheduler_request` returns
            them, and tasks for a job on several nodes.
        threads: CPU cores of each task.
    """
    words = [
        "sbatch --parsable --job-name <run> --output <log> --export=ALL --comment <job>",
        f"-A <account> -p <partition> -t {resources['runtime']} --mem {resources['mem_mb']}",
        f"--nodes={resources['nodes']}",
    ]
    tasks = resources.get("tasks")
    if tasks or not resources["gpu"]:
        words.append(f"--ntasks={tasks or 1}")
    words += [f"--cpus-per-task={threads}", "-D <folder>"]
    if resources["gpu"]:
        words.append(f"--gpus={resources['gpu']}")
    return " ".join(words)


def request_table(config: dict) -> str:
    """Table of GPUs, memory and run time by kind of job and size."""
    sizes = study.sizes(config)
    lines = [_row(["job", *sizes]), _row(["---"] * (len(sizes) + 1))]
    for rule, count in JOB_KINDS:
        cells = []
        for size in sizes:
            job = request(config, rule, size, count)
            gpus = f"{job['gpu']} GPU, " if job["gpu"] else ""
            cells.append(f"{gpus}{job['mem_mb'] / 1000:.0f} GB, {_hours(job['runtime'] / 60)}")
        lines.append(_row([_name(rule, count), *cells]))
    return "\n".join(lines)


def sbatch_calls(config: dict) -> str:
    """The sbatch call of one job of each kind, for the largest size."""
    size, threads = study.sizes(config)[-1], config["compute"]["threads"]
    rules = [("corpus", None), *JOB_KINDS]
    lines = []
    for rule, count in rules:
        light = rule == "corpus"
        job = request(config, rule, None if light else size, count)
        lines.append(f"# {rule}{'' if light else f' {size}'}{f' n{count}' if count else ''}")
        lines.append(sbatch_call(job, 1 if light else threads))
    return "\n".join(["```", *lines, "```"])


def cost_table(config: dict, by: str) -> str:
    """Table of the study's cost by rule or by size; without rules that cost nearly nothing."""
    heads = ["submissions", "start-up, h", "work, h", "GPU-hours", "node-hours", "disk, TB"]
    costs = sum_costs(config, by)
    if by == "rule":
        heads.insert(0, "jobs")
    lines = [_row([by, *heads]), _row(["---", *["---:"] * len(heads)])]
    for name, cost in costs.items():
        if by == "rule" and name != "total" and cost.work < 1 and cost.disk < 1e9:
            continue
        label = f"`{name}`" if by == "rule" and name != "total" else name
        lines.append(_row([label, *_cells(cost)[0 if by == "rule" else 1 :]]))
    return "\n".join(lines)


def overhead_table() -> str:
    """Table of start-up against work for each study."""
    lines = [
        _row(["study", "jobs", "submissions", "start-up, h", "work, h", "start-up's share"]),
        _row(["---", *["---:"] * 5]),
    ]
    for name, files in CONFIGS.items():
        cost = sum_costs(load(*files))["total"]
        share = cost.start_up / (cost.start_up + cost.work)
        hours = [f"{cost.start_up:,.2f}", f"{cost.work:,.2f}"]
        lines.append(_row([name, cost.jobs, cost.submissions, *hours, f"{share:.1%}"]))
    return "\n".join(lines)


def render_page(text: str) -> str:
    """The text of the page with its tables replaced.

    Raises:
        ValueError: the page does not have each block once.
    """
    paper = load(*CONFIGS["paper"])
    blocks = {
        "requests": request_table(paper),
        "calls": sbatch_calls(paper),
        "by rule": cost_table(paper, "rule"),
        "by size": cost_table(paper, "size"),
        "overhead": overhead_table(),
    }
    for name, block in blocks.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        text, replaced = pattern.subn(lambda m, block=block: f"{m[1]}{block}\n{m[2]}", text)
        if replaced != 1:
            raise ValueError(f"{PAGE.name} must have one block <!-- {name} -->, not {replaced}")
    return text


def _cells(cost: Cost) -> list[str]:
    hours = (cost.start_up, cost.work, cost.gpu_hours, cost.node_hours)
    return [
        str(cost.jobs),
        str(cost.submissions),
        *(f"{value:,.0f}" for value in hours),
        f"{cost.disk / 1e12:.2f}",
    ]


def _name(rule: str, count: int | None) -> str:
    return f"`{rule}`" + (f", {count} experts" if count else "")


def _hours(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.0f} h"


def _row(cells: list) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it with `--check`; returns the exit status."""
    text = PAGE.read_text(encoding="utf-8")
    rendered = render_page(text)
    if "--check" in arguments:
        if rendered != text:
            print(f"{PAGE} is out of date; run `make reference`", file=sys.stderr)
        return int(rendered != text)
    if rendered != text:
        PAGE.write_text(rendered, encoding="utf-8")
        print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
