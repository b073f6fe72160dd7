"""Where the wall time of a study's jobs went, as the report shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mergescale.analysis.tidy_tables import TIMING, read_table

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")


def shares(path: Path) -> dict[str, Any] | None:
    """Read timing.csv; None where no time was recorded.

    Returns:
        `parts` (rows with part, seconds, share, jobs and color), `seconds` and `jobs` in all. A job
        spends time on several parts, so its number is the largest, not the sum.
    """
    rows = read_table(path, TIMING).dropna(subset=["seconds"])
    total = rows["seconds"].sum()
    if not total > 0:
        return None
    parts = [
        {
            "part": row.part,
            "seconds": row.seconds,
            "share": row.seconds / total,
            "jobs": row.jobs,
            "color": COLORS[i % len(COLORS)],
        }
        for i, row in enumerate(rows.fillna({"jobs": 0}).itertuples())
    ]
    return {"parts": parts, "seconds": total, "jobs": max(part["jobs"] for part in parts)}


def format_duration(seconds: float) -> str:
    """7.3 becomes "7.3 s", 125 "2 min 05 s", 4000 "1 h 07 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
