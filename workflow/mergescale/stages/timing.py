"""Write timing.csv: what the wall time of a study's jobs was spent on."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mergescale import timing
from mergescale.provenance.atomic import replacing

# The parts of a job; "other" is Python and file work that is in none of the others.
_PARTS = ("start-up", "reading", "training", "merging", "evaluation", "rendering", "other")


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    study: Annotated[str, "the study's name"]
    out: Annotated[Path, "timing.csv"]
    logs: Annotated[Path, "the folder with the jobs' logs"] = Path("logs")


def run(args: Arguments) -> None:
    """Sum the parts of every job that left a record under `logs/<rule>/<study>`.

    Columns: part, seconds, jobs (how many spent time on it).
    """
    timing.started()
    seconds: dict[str, float] = defaultdict(float)
    jobs: dict[str, int] = defaultdict(int)
    nested = args.logs.glob(f"*/{args.study}/**/*.log.json")
    for path in sorted([*nested, *args.logs.glob(f"*/{args.study}.log.json")]):
        for part, spent in json.loads(path.read_text(encoding="utf-8")).items():
            seconds[part] += spent
            jobs[part] += 1
    with replacing(args.out) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["part", "seconds", "jobs"])
        for part in _PARTS:
            if jobs[part]:
                writer.writerow([part, f"{seconds[part]:.1f}", jobs[part]])
