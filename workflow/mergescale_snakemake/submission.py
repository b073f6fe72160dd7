"""How jobs are submitted: to which partition, and again after SLURM did not respond.

Written for snakemake-executor-plugin-slurm 2.8.0, which treats every failed sbatch as a failed job.
"""

from __future__ import annotations

import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from mergescale_snakemake import slurm
from mergescale_snakemake.job_monitor import OUTAGE_TIMEOUT_SECONDS
from mergescale_snakemake.slurm import SlurmUnreachable

RETRY_SECONDS = 5.0
# What sbatch, sacctmgr and sshare print when daemons do not respond, unlike for a refused request.
UNREACHABLE = re.compile(
    r"Unable to contact slurm controller|Socket timed out|Connection refused|Connection timed out"
    r"|Zero Bytes were transmitted|temporarily unable to accept|Unable to test the validity"
)


class Submission:
    """Adjusts an executor's sbatch calls, and repeats those that SLURM did not respond to.

    Args:
        executor: the SLURM plugin's executor; some of its methods are replaced.
        outage_timeout: seconds to repeat a submission before the job counts as failed.
        pause: seconds between two tries.
        is_reachable: whether SLURM responds.
    """

    def __init__(
        self,
        executor: Any,
        outage_timeout: float = OUTAGE_TIMEOUT_SECONDS,
        pause: float = RETRY_SECONDS,
        is_reachable: Callable[[], bool] = slurm.is_reachable,
    ) -> None:
        self.executor, self.outage_timeout, self.pause = executor, outage_timeout, pause
        self.is_reachable = is_reachable
        self.stopped = threading.Event()
        self.plugin_partition_argument = executor.get_partition_arg
        self.plugin_account_argument = executor.get_account_arg
        self.plugin_report_error = executor._report_job_error_threadsafe
        self.plugin_shutdown = executor.shutdown
        executor.get_partition_arg = self.partition_argument
        executor.get_account_arg = self.account_argument
        executor.additional_general_args = self.job_arguments
        executor._report_job_error_threadsafe = self.on_submission_error
        executor.shutdown = self.shutdown

    def job_arguments(self) -> str:
        """Arguments of the Snakemake inside a job, which runs the command itself on all cores.

        The plugin would have it start another Snakemake by srun: as much CPU time and memory again
        in every job, and an srun that does not see SLURM's variables.
        """
        return "--cores all"

    def account_argument(self, job: Any) -> Iterator[str]:
        """sbatch's argument for the account; SLURM itself says whether the account exists."""
        if not (account := job.resources.get("slurm_account")):
            yield from self.plugin_account_argument(job)
        else:
            yield f" -A {shlex.quote(str(account))}"

    def partition_argument(self, job: Any) -> str:
        """sbatch's argument for the partition: jobs with GPUs go to the GPU partition.

        The site's facts are resources of every job (profiles/slurm): `slurm_partition` for jobs
        without GPUs; `gpu_partition` and `gpu_type`, SLURM's name of the model, for those with.
        """
        resources = job.resources
        if not resources.get("gpu"):
            return self.plugin_partition_argument(job)
        if resources.get("gpu_type") and not resources.get("gpu_model"):
            _add_resource(job, "gpu_model", resources.get("gpu_type"))
        if not resources.get("gpu_partition"):
            return self.plugin_partition_argument(job)
        return f" -p {shlex.quote(str(resources.get('gpu_partition')))}"

    def on_submission_error(self, job_info: Any, message: str) -> None:
        """Submit again if SLURM did not respond; report any other error as the job's failure."""
        logger = self.executor.logger
        if not UNREACHABLE.search(message):
            self.plugin_report_error(job_info, message)
            return
        logger.warning(
            f"{job_info.job.name} was not submitted: SLURM does not respond. Trying again for "
            f"{self.outage_timeout / 60:g} minutes."
        )
        end = time.monotonic() + self.outage_timeout
        while time.monotonic() < end and not self.stopped.wait(self.pause):
            if self.is_reachable() and self._cancel_duplicates(job_info.job):
                self.executor.run_job(job_info.job)
                return
        self.plugin_report_error(job_info, message)

    def shutdown(self) -> None:
        """Shut the executor down without waiting for SLURM to come back."""
        self.stopped.set()
        self.plugin_shutdown()

    def _cancel_duplicates(self, job: Any) -> bool:
        """Whether an sbatch without a response is known not to have submitted the job after all."""
        comment = f"rule_{job.name}"  # of groups, too
        if wildcards := [str(value) for value in getattr(job, "wildcards", None) or []]:
            comment += "_wildcards_" + "_".join(wildcards).replace("/", "_")
        try:
            own = [other for other in slurm.list_jobs(".") if other.run == self.executor.run_uuid]
            if duplicates := [other.id for other in own if other.comment == comment]:
                slurm.cancel(duplicates)
        except SlurmUnreachable:
            return False
        return not duplicates


def _add_resource(job: Any, name: str, value: Any) -> None:
    if job.is_group():
        # The property `resources` of a group is computed from this on each access, and an addition
        # to its result would be lost.
        job._resources[name] = value
    else:
        job.add_aux_resource(name, value)
