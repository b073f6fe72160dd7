"""timing.csv: where the wall time of a study's jobs went."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path

from mergescale.provenance.atomic import replacing

# A job's own parts; what is in none of them is Python and file work of the stage.
_PARTS = ("start-up", "reading", "training", "merging", "evaluation", "rendering", "other")


def write_timing_table(out: Path, logs: Path, study: str) -> None:
    """Sum the parts of every job that left a record under `logs/<rule>/<study>`.

    Columns: stage (part of a job), seconds, jobs (how many spent time on it).
    """
    seconds: dict[str, float] = defaultdict(float)
    jobs: dict[str, int] = defaultdict(int)
    for path in sorted([*logs.glob(f"*/{study}/**/*.log.json"), *logs.glob(f"*/{study}.log.json")]):
        for part, spent in json.loads(path.read_text(encoding="utf-8")).items():
            seconds[part] += spent
            jobs[part] += 1
    with replacing(out) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["stage", "seconds", "jobs"])
        for part in _PARTS:
            if jobs[part]:
                writer.writerow([part, f"{seconds[part]:.1f}", jobs[part]])
