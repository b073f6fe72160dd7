"""Writes the tables of docs/paper_scale.md from the formulas.

    python -m mergescale_snakemake.cost_page [--check]

replaces what stands between `<!-- name -->` and `<!-- end -->`; with --check it only says whether
the page is out of date, and fails if it is.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mergescale.config import load
from mergescale.config import selectors as study
from mergescale_snakemake import job_resources as cluster
from mergescale_snakemake.cost_plan import Cost, costs
from mergescale_snakemake.sbatch import sbatch

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "paper_scale.md"
CONFIGS = {
    "smoke": [ROOT / "config" / name for name in ("config.yaml", "smoke.yaml")],
    "default": [ROOT / "config" / "config.yaml"],
    "paper": [ROOT / "config" / name for name in ("config.yaml", "paper.yaml")],
}
# The grouping of the grid: one job for each row and size.
KINDS = [
    ("pretrained_base", None),
    ("instruction_tuned_base", None),
    ("expert", None),
    ("multitask", None),
    ("reference_scores", None),
    ("merge_scores", 2),
    ("merge_scores", 8),
    ("merged_model", 8),
]


def requests(config: dict) -> str:
    """GPUs, memory and run time of each kind of job and size."""
    sizes = study.sizes(config)
    lines = [_row(["job", *sizes]), _row(["---"] * (len(sizes) + 1))]
    for rule, count in KINDS:
        cells = []
        for size in sizes:
            asked = cluster.asked(config, rule, size, count)
            gpus = f"{asked['gpu']} GPU, " if asked["gpu"] else ""
            cells.append(f"{gpus}{asked['mem_mb'] / 1000:.0f} GB, {_hours(asked['runtime'] / 60)}")
        lines.append(_row([_name(rule, count), *cells]))
    return "\n".join(lines)


def calls(config: dict) -> str:
    """The sbatch call of one job of each kind, of the largest size."""
    size, threads = study.sizes(config)[-1], config["compute"]["threads"]
    rules = [("corpus", None), *KINDS]
    lines = []
    for rule, count in rules:
        light = rule == "corpus"
        asked = cluster.asked(config, rule, None if light else size, count)
        lines.append(f"# {rule}{'' if light else f' {size}'}{f' n{count}' if count else ''}")
        lines.append(sbatch(asked, 1 if light else threads))
    return "\n".join(["```", *lines, "```"])


def total(config: dict, by: str) -> str:
    """What the study costs, by rule or by size; rules of less than an hour in one line."""
    heads = ["submissions", "start-up, h", "work, h", "GPU-hours", "node-hours", "disk, TB"]
    found = costs(config, by)
    if by == "rule":
        heads.insert(0, "jobs")
    lines = [_row([by, *heads]), _row(["---", *["---:"] * len(heads)])]
    for name, cost in found.items():
        if by == "rule" and name != "total" and cost.work < 1 and cost.disk < 1e9:
            continue
        label = f"`{name}`" if by == "rule" and name != "total" else name
        lines.append(_row([label, *_cells(cost)[0 if by == "rule" else 1 :]]))
    return "\n".join(lines)


def overhead() -> str:
    """Start-up against work for each study."""
    lines = [
        _row(["study", "jobs", "submissions", "start-up, h", "work, h", "start-up's share"]),
        _row(["---", *["---:"] * 5]),
    ]
    for name, files in CONFIGS.items():
        cost = costs(load(*files))["total"]
        share = cost.start_up / (cost.start_up + cost.work)
        hours = [f"{cost.start_up:,.2f}", f"{cost.work:,.2f}"]
        lines.append(_row([name, cost.jobs, cost.submissions, *hours, f"{share:.1%}"]))
    return "\n".join(lines)


def page(text: str) -> str:
    """The text of the page with its tables anew."""
    paper = load(*CONFIGS["paper"])
    blocks = {
        "requests": requests(paper),
        "calls": calls(paper),
        "by rule": total(paper, "rule"),
        "by size": total(paper, "size"),
        "overhead": overhead(),
    }
    for name, block in blocks.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        text, found = pattern.subn(lambda m, block=block: f"{m[1]}{block}\n{m[2]}", text)
        if found != 1:
            raise ValueError(f"{PAGE.name} must have one block <!-- {name} -->, not {found}")
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
    """Write, or with `--check` compare, the page."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = page(text)
    if "--check" in arguments:
        if wanted != text:
            print(f"{PAGE} is out of date; run `make reference`", file=sys.stderr)
        return int(wanted != text)
    if wanted != text:
        PAGE.write_text(wanted, encoding="utf-8")
        print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
