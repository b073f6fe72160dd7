"""How jobs are submitted: where, by whom, and again where SLURM was away."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from slurm_executor import Executor

from mergescale_snakemake import slurm, submission
from mergescale_snakemake.submission import Submission


@pytest.fixture
def executor():
    return Executor()


class Job:
    """A job as the executor sees it."""

    def __init__(self, **resources) -> None:
        self.name, self.wildcards, self.resources = "expert", ["40k", "pt"], resources

    def is_group(self) -> bool:
        return False

    def add_aux_resource(self, name, value) -> None:
        self.resources[name] = value


SITE = {"slurm_partition": "cpu", "gpu_partition": "gpu", "gpu_type": "a100"}


def test_jobs_with_gpus_go_to_the_gpu_partition_and_ask_for_its_model(executor):
    one, with_gpu, without = Submission(executor), Job(**SITE, gpu=2), Job(**SITE, gpu=0)
    assert executor.get_partition_arg(with_gpu) == " -p gpu"
    assert with_gpu.resources["gpu_model"] == "a100"
    assert one.partition(without) == " -p cpu" and "gpu_model" not in without.resources


def test_groups_of_jobs_with_gpus_go_there_as_well(executor):
    class Group(Job):
        """Its resources are summed up anew at each look, as Snakemake's groups do."""

        def __init__(self, **resources) -> None:
            self.name, self._resources = "experts", resources

        resources = property(lambda self: dict(self._resources))
        add_aux_resource = None

        def is_group(self) -> bool:
            return True

    group = Group(**SITE, gpu=1)
    assert Submission(executor).partition(group) == " -p gpu"
    assert group.resources["gpu_model"] == "a100"


def test_without_a_gpu_type_any_gpu_will_do(executor):
    job = Job(slurm_partition="cpu", gpu_partition="gpu", gpu=1)
    assert Submission(executor).partition(job) == " -p gpu" and "gpu_model" not in job.resources


def test_whether_an_account_exists_is_left_to_slurm(executor):
    Submission(executor)
    assert next(executor.get_account_arg(Job(slurm_account="no body"))) == " -A 'no body'"
    assert next(executor.get_account_arg(Job())) == " -A guessed"


def test_snakemake_runs_once_in_a_job(executor):
    Submission(executor)
    assert executor.additional_general_args() == "--cores all"


AWAY = (
    "SLURM sbatch failed. The error message was 'sbatch: error: Batch job submission failed: "
    "Unable to contact slurm controller (connect failure)'."
)


def test_a_refused_request_is_the_jobs_fault(executor):
    info = SimpleNamespace(job=Job())
    Submission(executor).refused(info, "sbatch: error: invalid partition specified: nowhere")
    assert "nowhere" in executor.failed["expert"] and not executor.submitted


def test_a_job_is_submitted_again_when_slurm_is_back(executor, monkeypatch):
    monkeypatch.setattr(slurm, "jobs_in", lambda folder: [])
    answers = iter([False, False, True])
    one = Submission(executor, pause=0.01, answers=lambda: next(answers))
    one.refused(SimpleNamespace(job=Job()), AWAY)
    assert executor.submitted == ["expert"] and not executor.failed


def test_what_an_unanswered_sbatch_submitted_after_all_is_withdrawn_first(executor, monkeypatch):
    double = slurm.Job("9", "PENDING", "run", "/", "rule_expert_wildcards_40k_pt")
    other = slurm.Job("8", "RUNNING", "run", "/", "rule_expert_wildcards_40k_it")
    queue = [double, other]
    monkeypatch.setattr(slurm, "jobs_in", lambda folder: list(queue))
    cancelled: list[str] = []

    def cancel(ids):
        cancelled.extend(ids)
        queue.remove(double)

    monkeypatch.setattr(slurm, "cancel", cancel)
    Submission(executor, pause=0.01, answers=lambda: True).refused(SimpleNamespace(job=Job()), AWAY)
    assert cancelled == ["9"] and executor.submitted == ["expert"]


def test_a_job_fails_when_slurm_stays_away_and_a_stopped_run_does_not_wait(executor):
    one = Submission(executor, patience=0.05, pause=0.01, answers=lambda: False)
    one.refused(SimpleNamespace(job=Job()), AWAY)
    assert executor.failed["expert"] == AWAY
    executor.failed.clear()
    patient = Submission(executor, patience=1e6, pause=1e6, answers=lambda: False)
    executor.shutdown()
    assert executor.shut_down
    patient.refused(SimpleNamespace(job=Job()), AWAY)
    assert executor.failed["expert"] == AWAY


@pytest.mark.parametrize("words", ["Socket timed out on send/recv operation", "Connection refused"])
def test_words_of_absence_are_known(words):
    assert submission.AWAY.search(words)
