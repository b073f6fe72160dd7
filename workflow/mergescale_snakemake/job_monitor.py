"""Status checks of a run's SLURM jobs: every job ends in success or an error, none hangs.

Replaces the status check of snakemake-executor-plugin-slurm (written for 2.8.0). With that one a
run hangs when a check fails while jobs run (it drops them), when a job is cancelled and sacct is
asked ("CANCELLED by 0" is an unknown state to it), when squeue has forgotten a finished job, or
when a job requests what its partition never grants.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from mergescale_snakemake import slurm
from mergescale_snakemake.slurm import SlurmUnreachable

OUTAGE_TIMEOUT_SECONDS = 3600.0
# How long a job may stay in a state that it normally leaves by itself.
GRACE_SECONDS = 90.0

FAILED = {
    "BOOT_FAIL": "the node did not boot",
    "CANCELLED": "it was canceled",
    "DEADLINE": "its deadline passed",
    "FAILED": "its command failed",
    "OUT_OF_MEMORY": "it needed more memory than its mem_mb",
    "REVOKED": "another cluster took it",
    "TIMEOUT": "it ran longer than its runtime",
}
# SLURM puts such a job back into the queue, unless the site forbids it.
USUALLY_REQUEUED = {
    "NODE_FAIL": "its node failed, and SLURM did not start it again",
    "PREEMPTED": "it was preempted, and SLURM did not start it again",
}
# Reasons for which a pending job never starts: it requests what its account or partition never
# grants. Limits on all jobs of a user together are not among them, since they pass.
NEVER_STARTS = (
    *("PartitionTimeLimit", "PartitionNodeLimit", "BadConstraints", "InvalidAccount", "InvalidQOS"),
    *("DependencyNeverSatisfied", "AccountNotAllowed", "QOSNotAllowed", "PerJob", "WallDuration"),
    *("PerNode", "launch failed requeued held"),
)


class SlurmOutage(Exception):
    """SLURM has not responded for longer than a run tolerates."""


class JobMonitor:
    """Checks the jobs of a run and reports their ends to the executor that submitted them.

    Args:
        executor: the SLURM plugin's executor.
        query: called with a run's id and job numbers, returns (state, reason) by number, as
            `slurm.job_states` does.
        outage_timeout: seconds without a response from SLURM until the run gives up.
        grace: seconds that a job may stay in a state that it normally leaves by itself.
        clock: the current time in seconds.
    """

    def __init__(
        self,
        executor: Any,
        query: Callable[[str, Iterable[str]], dict[str, tuple[str, str]]] = slurm.job_states,
        outage_timeout: float = OUTAGE_TIMEOUT_SECONDS,
        grace: float = GRACE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.executor, self.query, self.clock = executor, query, clock
        self.outage_timeout, self.grace = outage_timeout, grace
        self.outage_since: float | None = None
        self.grace_since: dict[tuple[str, str], float] = {}

    async def check(self, active_jobs: list[Any]) -> AsyncIterator[Any]:
        """Report the jobs that ended and yield the others (as `check_active_jobs` does).

        Raises:
            SlurmOutage: SLURM has not responded for `outage_timeout` seconds.
        """
        executor = self.executor
        settings = executor.workflow.executor_settings
        executor.next_seconds_between_status_checks = settings.init_seconds_before_status_checks
        if not active_jobs:
            return
        ids = [job.external_jobid for job in active_jobs]
        try:
            states = await asyncio.to_thread(self.query, executor.run_uuid, ids)
        except SlurmUnreachable as error:
            self._tolerate_outage(error, ids)
            for job in active_jobs:
                yield job
            return
        if self.outage_since is not None:
            seconds = self.clock() - self.outage_since
            executor.logger.warning(f"SLURM responds again after {seconds:.0f} s.")
            self.outage_since = None
        for job in active_jobs:
            state, reason = states.get(job.external_jobid, ("UNKNOWN", ""))
            if state == "COMPLETED":
                self._delete_log(job)
                executor.report_job_success(job)
            elif failure := self._failure(job.external_jobid, state, reason):
                self._report_failure(job, f"SLURM job {job.external_jobid} failed: {failure}.")
            else:
                yield job

    def _failure(self, number: str, state: str, reason: str) -> str:
        """Why a job counts as failed; empty as long as it may still finish."""
        if state in FAILED:
            return f"{FAILED[state]} ({state})"
        if state in USUALLY_REQUEUED:
            return self._after_grace(number, state, f"{USUALLY_REQUEUED[state]} ({state})")
        if state == "UNKNOWN":
            return self._after_grace(number, state, "SLURM no longer knows it")
        if state == "PENDING" and any(word in reason for word in NEVER_STARTS):
            failure = f"it can never start (SLURM's reason: {reason})"
            if failure := self._after_grace(number, reason, failure):
                try:
                    slurm.cancel([number])
                except SlurmUnreachable:
                    return ""  # still in the queue: the next check tries again
            return failure
        return ""

    def _after_grace(self, number: str, why: str, failure: str) -> str:
        since = self.grace_since.setdefault((number, why), self.clock())
        return failure if self.clock() - since >= self.grace else ""

    def _tolerate_outage(self, error: SlurmUnreachable, ids: list[str]) -> None:
        now, minutes = self.clock(), f"{self.outage_timeout / 60:g} minutes"
        if self.outage_since is None:
            self.outage_since = now
            self.executor.logger.warning(
                f"SLURM does not respond ({error}); {len(ids)} jobs may still run there. Trying "
                f"again for {minutes}."
            )
        if now - self.outage_since >= self.outage_timeout:
            raise SlurmOutage(
                f"SLURM has not responded for {minutes} ({error}). Jobs {', '.join(ids)} may still "
                "run. Run the same command again when SLURM is back: it waits for them and resumes"
            )

    def _report_failure(self, job: Any, message: str) -> None:
        log = (job.aux or {}).get("slurm_logfile")
        self.executor.report_job_error(
            job, msg=message + " ", aux_logs=[str(log)] if log is not None else []
        )

    def _delete_log(self, job: Any) -> None:
        if self.executor.workflow.executor_settings.keep_successful_logs:
            return
        if log := (job.aux or {}).get("slurm_logfile"):
            Path(log).unlink(missing_ok=True)
