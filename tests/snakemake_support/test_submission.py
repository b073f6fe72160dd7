"""How jobs are submitted: partition, account, and again after SLURM did not respond."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from slurm_executor import Executor

from mergescale_snakemake import slurm
from mergescale_snakemake.submission import UNREACHABLE as UNREACHABLE_MESSAGES
from mergescale_snakemake.submission import Submission


@pytest.fixture
def executor():
    return Executor()


class Job:
    """A job as the executor has it."""

    def __init__(self, **resources) -> None:
        self.name, self.wildcards, self.resources = "expert", ["40k", "pt"], resources

    def is_group(self) -> bool:
        return False

    def add_aux_resource(self, name, value) -> None:
        self.resources[name] = value


SITE = {"slurm_partition": "cpu", "gpu_partition": "gpu", "gpu_type": "a100"}


def test_jobs_with_gpus_go_to_the_gpu_partition_and_request_its_model(executor):
    submission, with_gpu, without = Submission(executor), Job(**SITE, gpu=2), Job(**SITE, gpu=0)
    assert executor.get_partition_arg(with_gpu) == " -p gpu"
    assert with_gpu.resources["gpu_model"] == "a100"
    assert (
        submission.partition_argument(without) == " -p cpu" and "gpu_model" not in without.resources
    )


def test_groups_of_jobs_with_gpus_go_there_as_well(executor):
    class Group(Job):
        """Its resources are computed on each access, as in Snakemake's groups."""

        def __init__(self, **resources) -> None:
            self.name, self._resources = "experts", resources

        resources = property(lambda self: dict(self._resources))
        add_aux_resource = None

        def is_group(self) -> bool:
            return True

    group = Group(**SITE, gpu=1)
    assert Submission(executor).partition_argument(group) == " -p gpu"
    assert group.resources["gpu_model"] == "a100"


def test_without_a_gpu_type_any_model_is_requested(executor):
    job = Job(slurm_partition="cpu", gpu_partition="gpu", gpu=1)
    assert (
        Submission(executor).partition_argument(job) == " -p gpu"
        and "gpu_model" not in job.resources
    )


def test_slurm_checks_whether_an_account_exists(executor):
    Submission(executor)
    assert next(executor.get_account_arg(Job(slurm_account="no body"))) == " -A 'no body'"
    assert next(executor.get_account_arg(Job())) == " -A guessed"


def test_snakemake_runs_once_in_a_job(executor):
    Submission(executor)
    assert executor.additional_general_args() == "--cores all"


UNREACHABLE = (
    "SLURM sbatch failed. The error message was 'sbatch: error: Batch job submission failed: "
    "Unable to contact slurm controller (connect failure)'."
)


def test_a_refused_request_fails_the_job(executor):
    info = SimpleNamespace(job=Job())
    Submission(executor).on_submission_error(
        info, "sbatch: error: invalid partition specified: nowhere"
    )
    assert "nowhere" in executor.failed["expert"] and not executor.submitted


def test_a_job_is_submitted_again_after_an_outage(executor, monkeypatch):
    monkeypatch.setattr(slurm, "list_jobs", lambda folder: [])
    responses = iter([False, False, True])
    submission = Submission(executor, pause=0.01, is_reachable=lambda: next(responses))
    submission.on_submission_error(SimpleNamespace(job=Job()), UNREACHABLE)
    assert executor.submitted == ["expert"] and not executor.failed


def test_what_a_failed_sbatch_submitted_after_all_is_canceled_first(executor, monkeypatch):
    duplicate = slurm.SlurmJob("9", "PENDING", "run", "/", "rule_expert_wildcards_40k_pt")
    other = slurm.SlurmJob("8", "RUNNING", "run", "/", "rule_expert_wildcards_40k_it")
    queue = [duplicate, other]
    monkeypatch.setattr(slurm, "list_jobs", lambda folder: list(queue))
    canceled: list[str] = []

    def cancel(ids):
        canceled.extend(ids)
        queue.remove(duplicate)

    monkeypatch.setattr(slurm, "cancel", cancel)
    Submission(executor, pause=0.01, is_reachable=lambda: True).on_submission_error(
        SimpleNamespace(job=Job()), UNREACHABLE
    )
    assert canceled == ["9"] and executor.submitted == ["expert"]


def test_a_job_fails_after_a_long_outage_and_a_stopped_run_does_not_wait(executor):
    submission = Submission(executor, outage_timeout=0.05, pause=0.01, is_reachable=lambda: False)
    submission.on_submission_error(SimpleNamespace(job=Job()), UNREACHABLE)
    assert executor.failed["expert"] == UNREACHABLE
    executor.failed.clear()
    patient = Submission(executor, outage_timeout=1e6, pause=1e6, is_reachable=lambda: False)
    executor.shutdown()
    assert executor.shut_down
    patient.on_submission_error(SimpleNamespace(job=Job()), UNREACHABLE)
    assert executor.failed["expert"] == UNREACHABLE


@pytest.mark.parametrize(
    "message", ["Socket timed out on send/recv operation", "Connection refused"]
)
def test_messages_of_an_outage_are_recognized(message):
    assert UNREACHABLE_MESSAGES.search(message)
