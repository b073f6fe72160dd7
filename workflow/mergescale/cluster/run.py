"""What a run on SLURM does before its first job is submitted."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from mergescale.cluster import orphans
from mergescale.cluster.submission import Submission
from mergescale.cluster.watch import PATIENCE_SECONDS, Watch

PATIENCE = "MERGESCALE_PATIENCE_MINUTES"
EXECUTOR = ("run_uuid", "check_active_jobs", "get_partition_arg", "_report_job_error_threadsafe")


def attend(workflow: Any) -> None:
    """Guard a run on SLURM; to be called in `onstart:`, when the executor exists.

    Settles the jobs of earlier runs, then watches and submits jobs so that the run survives, or
    ends with a sentence. Does nothing in local runs. Written for Snakemake 9.27 and version 2.8.0
    of the executor plugin.
    """
    executor = getattr(workflow.scheduler, "_executor", None)
    if workflow.local_exec or not workflow.is_main_process or not hasattr(executor, "run_uuid"):
        return
    missing = [name for name in EXECUTOR if not hasattr(executor, name)]
    if missing:
        raise SystemExit(
            "mergescale: error: this version of snakemake-executor-plugin-slurm is not the one "
            f"that envs/requirements-slurm.txt pins (it has no {missing[0]}): install that one"
        )
    say = logging.getLogger("snakemake.logging").warning
    try:
        patience = seconds_of_patience()
        waited = orphans.settle(say)
    except (ValueError, orphans.Undecided) as error:
        raise SystemExit(f"mergescale: error: {error}") from None
    if waited:
        # What those jobs finished is not in this run's plan yet: plan again, by the same command.
        workflow.persistence.unlock()
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, sys.orig_argv)
    orphans.record(executor.run_uuid)
    executor.check_active_jobs = Watch(executor, patience=patience).check
    Submission(executor, patience=patience)


def seconds_of_patience() -> float:
    """How long SLURM may be silent: MERGESCALE_PATIENCE_MINUTES of the environment, or an hour."""
    given = os.environ.get(PATIENCE, str(PATIENCE_SECONDS / 60))
    try:
        minutes = float(given)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise ValueError(f"{PATIENCE} is {given!r}: it is a number of minutes above 0")
    return 60 * minutes
