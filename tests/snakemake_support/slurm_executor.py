"""A stand-in for the SLURM plugin's executor, for tests without SLURM."""

from __future__ import annotations

import logging
from types import SimpleNamespace


class Executor:
    """Records what is submitted and reported."""

    def __init__(self) -> None:
        settings = SimpleNamespace(init_seconds_before_status_checks=10, keep_successful_logs=False)
        self.workflow = SimpleNamespace(executor_settings=settings)
        self.run_uuid = "run"
        self.logger = logging.getLogger("test")
        self.succeeded: list[str] = []
        self.failed: dict[str, str] = {}
        self.submitted: list[str] = []
        self.shut_down = False

    def report_job_success(self, job) -> None:
        self.succeeded.append(job.external_jobid)

    def report_job_error(self, job, msg, aux_logs) -> None:
        self.failed[job.external_jobid] = msg

    def _report_job_error_threadsafe(self, job_info, message) -> None:
        self.failed[job_info.job.name] = message

    def get_partition_arg(self, job) -> str:
        return f" -p {job.resources['slurm_partition']}"

    def get_account_arg(self, job):
        yield " -A guessed"

    def run_job(self, job) -> None:
        self.submitted.append(job.name)

    def shutdown(self) -> None:
        self.shut_down = True
