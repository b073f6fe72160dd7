"""The end of every job of a run, as SLURM tells it; no job is waited for for ever.

Takes the place of the status check of snakemake-executor-plugin-slurm (written for 2.8.0). Under
that one a run never ends when a check fails while jobs run (it forgets them), when a job is
cancelled and sacct is asked ("CANCELLED by 0" is no state it knows), when squeue has forgotten a
finished job, or when a job asks for what its partition never gives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from mergescale_snakemake import slurm

PATIENCE_SECONDS = 3600.0
# How long a state that a requeued job leaves by itself may last.
GRACE_SECONDS = 90.0

FAILED = {
    "BOOT_FAIL": "the node did not boot",
    "CANCELLED": "it was cancelled",
    "DEADLINE": "its deadline passed",
    "FAILED": "its command failed",
    "OUT_OF_MEMORY": "it needed more memory than its mem_mb",
    "REVOKED": "another cluster took it",
    "TIMEOUT": "it ran longer than its runtime",
}
# SLURM puts such a job back into the queue by itself, unless the site forbids it.
USUALLY_REQUEUED = {
    "NODE_FAIL": "its node failed, and SLURM did not start it again",
    "PREEMPTED": "it was preempted, and SLURM did not start it again",
}
# Reasons for which a waiting job never starts: it asks for what its account or partition never
# gives. Limits on what all jobs of a user have together are none of them, since these pass.
NEVER_STARTS = (
    *("PartitionTimeLimit", "PartitionNodeLimit", "BadConstraints", "InvalidAccount", "InvalidQOS"),
    *("DependencyNeverSatisfied", "AccountNotAllowed", "QOSNotAllowed", "PerJob", "WallDuration"),
    *("PerNode", "launch failed requeued held"),
)


class SilentScheduler(Exception):
    """SLURM has not answered for longer than a run has patience."""


class Watch:
    """Asks how the jobs of a run are and reports their ends to the executor that submitted them.

    `ask(run, ids)` gives (state, reason) by id, as `slurm.states` does; `patience` and `grace` are
    seconds.
    """

    def __init__(
        self,
        executor: Any,
        ask: Callable[[str, Iterable[str]], dict[str, tuple[str, str]]] = slurm.states,
        patience: float = PATIENCE_SECONDS,
        grace: float = GRACE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.executor, self.ask, self.clock = executor, ask, clock
        self.patience, self.grace = patience, grace
        self.silent_since: float | None = None
        self.doubted_since: dict[tuple[str, str], float] = {}

    async def check(self, active_jobs: list[Any]) -> AsyncIterator[Any]:
        """Report the jobs that ended and yield those that go on (as `check_active_jobs` does).

        Raises SilentScheduler when SLURM has been silent for too long.
        """
        executor = self.executor
        settings = executor.workflow.executor_settings
        executor.next_seconds_between_status_checks = settings.init_seconds_before_status_checks
        if not active_jobs:
            return
        ids = [job.external_jobid for job in active_jobs]
        try:
            known = await asyncio.to_thread(self.ask, executor.run_uuid, ids)
        except slurm.Unanswered as silence:
            self._bear(silence, ids)
            for job in active_jobs:
                yield job
            return
        if self.silent_since is not None:
            seconds = self.clock() - self.silent_since
            executor.logger.warning(f"SLURM answers again, after {seconds:.0f} s.")
            self.silent_since = None
        for job in active_jobs:
            state, reason = known.get(job.external_jobid, ("UNKNOWN", ""))
            if state == "COMPLETED":
                self._forget_log(job)
                executor.report_job_success(job)
            elif fault := self._fault(job.external_jobid, state, reason):
                self._report(job, f"SLURM job {job.external_jobid} did not finish: {fault}.")
            else:
                yield job

    def _fault(self, number: str, state: str, reason: str) -> str:
        """Why a job has to be given up; empty as long as it may still finish."""
        if state in FAILED:
            return f"{FAILED[state]} ({state})"
        if state in USUALLY_REQUEUED:
            return self._after_grace(number, state, f"{USUALLY_REQUEUED[state]} ({state})")
        if state == "UNKNOWN":
            return self._after_grace(number, state, "SLURM does not know it any more")
        if state == "PENDING" and any(word in reason for word in NEVER_STARTS):
            fault = f"it can never start, SLURM gives the reason {reason}"
            if fault := self._after_grace(number, reason, fault):
                try:
                    slurm.cancel([number])
                except slurm.Unanswered:
                    return ""  # it is still in the queue: asked again at the next check
            return fault
        return ""

    def _after_grace(self, number: str, why: str, fault: str) -> str:
        since = self.doubted_since.setdefault((number, why), self.clock())
        return fault if self.clock() - since >= self.grace else ""

    def _bear(self, silence: slurm.Unanswered, ids: list[str]) -> None:
        now = self.clock()
        if self.silent_since is None:
            self.silent_since = now
            self.executor.logger.warning(
                f"SLURM does not answer ({silence}). {len(ids)} jobs may go on there; asking again "
                f"for {self.patience / 60:g} minutes."
            )
        if now - self.silent_since >= self.patience:
            raise SilentScheduler(
                f"SLURM has not answered for {self.patience / 60:g} minutes ({silence}). Jobs "
                f"{', '.join(ids)} may still run. Start the same command again when SLURM is back: "
                "it waits for them and goes on."
            )

    def _report(self, job: Any, message: str) -> None:
        log = (job.aux or {}).get("slurm_logfile")
        self.executor.report_job_error(
            job, msg=message + " ", aux_logs=[str(log)] if log is not None else []
        )

    def _forget_log(self, job: Any) -> None:
        if self.executor.workflow.executor_settings.keep_successful_logs:
            return
        if log := (job.aux or {}).get("slurm_logfile"):
            Path(log).unlink(missing_ok=True)
