"""What a run on SLURM does before its first job is submitted."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from mergescale_snakemake import orphans
from mergescale_snakemake.submission import Submission
from mergescale_snakemake.watch import PATIENCE_SECONDS, SilentScheduler, Watch

PATIENCE = "MERGESCALE_PATIENCE_MINUTES"
EXECUTOR = (
    *("additional_general_args", "check_active_jobs", "get_account_arg", "get_partition_arg"),
    "_report_job_error_threadsafe",
)


def guard_run(workflow: Any) -> None:
    """Guard a run; to be called in `onstart:`, when the executor exists.

    Settles the jobs of earlier runs on SLURM, also before a local run of the same folder. A run on
    SLURM is watched, and its jobs are submitted, so that it survives or ends with a sentence.
    Written for Snakemake 9.27 and version 2.8.0 of the executor plugin.
    """
    executor = getattr(workflow.scheduler, "_executor", None)
    on_slurm = hasattr(executor, "run_uuid")
    if not workflow.is_main_process or not (on_slurm or orphans.possible()):
        return
    try:
        patience = seconds_of_patience()
        waited = orphans.settle(logging.getLogger("snakemake.logging").warning)
    except (ValueError, orphans.Undecided) as error:
        raise SystemExit(f"mergescale: error: {error}") from None
    if waited:
        # What those jobs finished is not in this run's plan yet: plan again, by the same command.
        workflow.persistence.unlock()
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, sys.orig_argv)
    if not on_slurm:
        return
    missing = [name for name in EXECUTOR if not hasattr(executor, name)]
    if missing:
        raise SystemExit(
            "mergescale: error: this version of snakemake-executor-plugin-slurm is not the one "
            f"that envs/requirements-slurm.txt pins (it has no {missing[0]}): install that one"
        )
    orphans.record(executor.run_uuid)
    watch = Watch(executor, patience=patience)

    async def check(active_jobs: list[Any]) -> AsyncIterator[Any]:
        try:
            async for job in watch.check(active_jobs):
                yield job
        except SilentScheduler as silence:
            leave(workflow, silence)

    executor.check_active_jobs = check
    Submission(executor, patience=patience)


def leave(workflow: Any, why: Exception) -> None:
    """End this process at once with a sentence, and without a lock.

    Nothing is tidied up: Snakemake would remove folders that jobs still at work will write to.
    """
    logging.getLogger("snakemake.logging").error(f"mergescale: error: {why}")
    workflow.persistence.unlock()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


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
