"""Local runs without Snakemake's limit on job starts, which costs more than it saves.

The limit (`--max-jobs-per-timespan`, 100 a second by default) makes the scheduler look at all ready
jobs again one second after each look, besides the looks that finished jobs cause, each of which
sets a timer of its own. With a hundred ready jobs that grows to minutes of CPU time in one run.
Local jobs take seconds each, so the limit is never near; on a cluster it stays, since it shields
the scheduler there.
"""

from __future__ import annotations

from typing import Any


def without_start_limit(workflow: Any) -> None:
    """Lift the limit of a local run; to be called in `onstart:`, when the scheduler exists.

    Written for Snakemake 9.27 (`JobScheduler.job_rate_limiter`); where there is no such attribute
    nothing happens, and the run only costs more.
    """
    scheduler = getattr(workflow, "scheduler", None)
    if workflow.local_exec and hasattr(scheduler, "job_rate_limiter"):
        scheduler.job_rate_limiter = None
