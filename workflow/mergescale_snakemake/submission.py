"""How jobs are submitted: to which partition, and again where SLURM was away for a while.

Written for snakemake-executor-plugin-slurm 2.8.0, which takes a failed sbatch for a failed job.
"""

from __future__ import annotations

import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from mergescale_snakemake import slurm
from mergescale_snakemake.watch import PATIENCE_SECONDS

PAUSE_SECONDS = 5.0
# What sbatch, sacctmgr and sshare say of daemons that are away, as against a request they refuse.
AWAY = re.compile(
    r"Unable to contact slurm controller|Socket timed out|Connection refused|Connection timed out"
    r"|Zero Bytes were transmitted|temporarily unable to accept|Unable to test the validity"
)


class Submission:
    """Stands between an executor and its sbatch calls."""

    def __init__(
        self,
        executor: Any,
        patience: float = PATIENCE_SECONDS,
        pause: float = PAUSE_SECONDS,
        answers: Callable[[], bool] | None = None,
    ) -> None:
        self.executor, self.patience, self.pause = executor, patience, pause
        self.answers = answers or slurm_answers
        self.stopped = threading.Event()
        self.partition_of = executor.get_partition_arg
        self.account_of = executor.get_account_arg
        self.report_error = executor._report_job_error_threadsafe
        self.shutdown = executor.shutdown
        executor.get_partition_arg = self.partition
        executor.get_account_arg = self.account
        executor.additional_general_args = self.within_the_job
        executor._report_job_error_threadsafe = self.refused
        executor.shutdown = self.stop

    def within_the_job(self) -> str:
        """How Snakemake runs in the job: it starts the command itself, on all of the job's cores.

        The plugin would have it start another Snakemake by srun: as much processor time and memory
        again in every job, and an srun that does not see SLURM's variables.
        """
        return "--cores all"

    def account(self, job: Any) -> Iterator[str]:
        """sbatch's argument for the account; whether it exists, SLURM says itself."""
        if not (account := job.resources.get("slurm_account")):
            yield from self.account_of(job)
        else:
            yield f" -A {shlex.quote(str(account))}"

    def partition(self, job: Any) -> str:
        """sbatch's argument for the partition: jobs with GPUs go where the GPUs are.

        The site's facts are resources of every job (profiles/slurm): `slurm_partition` for jobs
        without GPUs; `gpu_partition` and `gpu_type`, SLURM's name of the model, for those with.
        """
        asked = job.resources
        if not asked.get("gpu"):
            return self.partition_of(job)
        if asked.get("gpu_type") and not asked.get("gpu_model"):
            _add_resource(job, "gpu_model", asked.get("gpu_type"))
        if not asked.get("gpu_partition"):
            return self.partition_of(job)
        return f" -p {shlex.quote(str(asked.get('gpu_partition')))}"

    def refused(self, job_info: Any, message: str) -> None:
        """Submit again when SLURM was away; report everything else as the job's fault."""
        logger = self.executor.logger
        if not AWAY.search(message):
            self.report_error(job_info, message)
            return
        logger.warning(
            f"{job_info.job.name} was not submitted, since SLURM does not answer; trying again for "
            f"{self.patience / 60:g} minutes."
        )
        end = time.monotonic() + self.patience
        while time.monotonic() < end and not self.stopped.wait(self.pause):
            if self.answers() and self._withdrawn(job_info.job):
                self.executor.run_job(job_info.job)
                return
        self.report_error(job_info, message)

    def stop(self) -> None:
        """Shut the executor down without waiting for SLURM to come back."""
        self.stopped.set()
        self.shutdown()

    def _withdrawn(self, job: Any) -> bool:
        """Make sure that an unanswered sbatch did not submit the job after all."""
        comment = f"rule_{job.name}"  # of groups, too
        if wildcards := [str(value) for value in getattr(job, "wildcards", None) or []]:
            comment += "_wildcards_" + "_".join(wildcards).replace("/", "_")
        try:
            own = [other for other in slurm.jobs_in(".") if other.run == self.executor.run_uuid]
            if doubles := [other.id for other in own if other.comment == comment]:
                slurm.cancel(doubles)
        except slurm.Unanswered:
            return False
        return not doubles


def _add_resource(job: Any, name: str, value: Any) -> None:
    if job.is_group():
        # `resources` of a group are made anew of this at each look, and nothing can be added there.
        job._resources[name] = value
    else:
        job.add_aux_resource(name, value)


def slurm_answers() -> bool:
    """Whether the controller and, where there is one, the accounting daemon answer."""
    try:
        slurm.call("squeue", "--noheader", "--user=root", "--states=PENDING")
        return True
    except slurm.Unanswered:
        return False
