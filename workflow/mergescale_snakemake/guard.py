"""What a run does before its first job: drain orphans, and guard jobs on SLURM against outages."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator
from typing import Any, NoReturn

from mergescale_snakemake import orphans
from mergescale_snakemake.job_monitor import OUTAGE_TIMEOUT_SECONDS, JobMonitor, SlurmOutage
from mergescale_snakemake.submission import Submission

OUTAGE_VARIABLE = "MERGESCALE_SLURM_TIMEOUT_MINUTES"
# What JobMonitor and Submission replace in the plugin's executor.
REPLACED_METHODS = (
    *("additional_general_args", "check_active_jobs", "get_account_arg", "get_partition_arg"),
    "_report_job_error_threadsafe",
)


def guard_run(workflow: Any) -> None:
    """Guard a run; to be called in `onstart:`, when the executor exists.

    Orphans of earlier runs on SLURM are drained first, also before a local run in the same folder.
    The jobs of a run on SLURM are then submitted and monitored so that the run survives an outage
    or fails with a one-line error. Written for Snakemake 9.27 and version 2.8.0 of the plugin.

    Args:
        workflow: Snakemake's workflow, as a Snakefile has it.

    Raises:
        SystemExit: orphans cannot be checked, or the plugin is of another version.
    """
    executor = getattr(workflow.scheduler, "_executor", None)
    on_slurm = hasattr(executor, "run_uuid")
    if not workflow.is_main_process or not (on_slurm or orphans.may_exist()):
        return
    try:
        outage_timeout = outage_timeout_seconds()
        waited = orphans.drain_orphans(logging.getLogger("snakemake.logging").warning)
    except (ValueError, orphans.OrphanCheckFailed) as error:
        raise SystemExit(f"mergescale: error: {error}") from None
    if waited:
        # What those jobs finished is not in this run's plan: plan again, by the same command.
        workflow.persistence.unlock()
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, sys.orig_argv)
    if not on_slurm:
        return
    missing = [name for name in REPLACED_METHODS if not hasattr(executor, name)]
    if missing:
        raise SystemExit(
            f"mergescale: error: snakemake-executor-plugin-slurm has no {missing[0]}; install the "
            "version that envs/requirements-slurm.txt pins"
        )
    orphans.record_run(executor.run_uuid)
    monitor = JobMonitor(executor, outage_timeout=outage_timeout)

    async def check(active_jobs: list[Any]) -> AsyncIterator[Any]:
        try:
            async for job in monitor.check(active_jobs):
                yield job
        except SlurmOutage as outage:
            abort_run(workflow, outage)

    executor.check_active_jobs = check
    Submission(executor, outage_timeout=outage_timeout)


def abort_run(workflow: Any, error: Exception) -> NoReturn:
    """End this process at once with a one-line error, and unlock the working directory.

    There is no cleanup: Snakemake would remove folders that running jobs will write to.
    """
    logging.getLogger("snakemake.logging").error(f"mergescale: error: {error}")
    workflow.persistence.unlock()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def outage_timeout_seconds() -> float:
    """How long SLURM may be unreachable: MERGESCALE_SLURM_TIMEOUT_MINUTES, by default an hour.

    Raises:
        ValueError: the environment variable is not a positive number.
    """
    text = os.environ.get(OUTAGE_VARIABLE, str(OUTAGE_TIMEOUT_SECONDS / 60))
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise ValueError(f"{OUTAGE_VARIABLE} must be a number of minutes above 0, not {text!r}")
    return 60 * minutes
