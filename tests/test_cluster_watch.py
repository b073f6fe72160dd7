"""Whatever SLURM says of a job, it ends in success, in an error with words, or in patience."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest

from mergescale.cluster import run, slurm, submission, watch
from mergescale.cluster.submission import Submission
from mergescale.cluster.watch import SilentScheduler, Watch


class Executor:
    """What the plugin's executor offers; remembers what is reported."""

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


@pytest.fixture
def executor():
    return Executor()


def job(number: str, log=None):
    return SimpleNamespace(external_jobid=number, aux={"slurm_logfile": log})


def checked(one: Watch, *numbers: str) -> list[str]:
    """One check of jobs; those that go on."""

    async def all_of_it():
        return [j.external_jobid async for j in one.check([job(number) for number in numbers])]

    return asyncio.run(all_of_it())


def watching(executor, *answers, **settings):
    """A watch whose questions get these answers; the last one again and again. And its clock."""
    queue = list(answers)
    time = SimpleNamespace(now=0.0)

    def ask(run, ids):
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Watch(executor, ask=ask, clock=lambda: time.now, **settings), time


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED"])
def test_unfinished_jobs_go_on(executor, state):
    one, time = watching(executor, {"1": (state, "Resources")})
    for time.now in (0, 1e6):
        assert checked(one, "1") == ["1"]
    assert not executor.succeeded and not executor.failed


def test_a_finished_job_is_reported_once_and_its_log_removed(executor, tmp_path):
    log = tmp_path / "1.log"
    log.write_text("")
    one, _ = watching(executor, {"1": ("COMPLETED", "None"), "2": ("RUNNING", "None")})

    async def check():
        return [j async for j in one.check([job("1", log), job("2")])]

    assert len(asyncio.run(check())) == 1
    assert executor.succeeded == ["1"] and not log.exists()


@pytest.mark.parametrize("state", list(watch.FAILED))
def test_failed_jobs_are_reported_with_a_reason(executor, state):
    one, _ = watching(executor, {"1": (state, "None")})
    assert checked(one, "1") == []
    assert watch.FAILED[state] in executor.failed["1"] and state in executor.failed["1"]


@pytest.mark.parametrize("state", list(watch.USUALLY_REQUEUED))
def test_a_job_of_a_failed_node_gets_the_time_to_be_requeued(executor, state):
    one, time = watching(executor, {"1": (state, "")}, {"1": ("PENDING", "BeginTime")})
    assert checked(one, "1") == ["1"]
    time.now = 1000
    assert checked(one, "1") == ["1"] and not executor.failed


@pytest.mark.parametrize(
    "answer", [{"1": ("NODE_FAIL", "")}, {}, {"1": ("PENDING", "PartitionTimeLimit")}]
)
def test_what_does_not_change_is_given_up_after_a_while(executor, answer, monkeypatch):
    cancelled: list[str] = []
    monkeypatch.setattr(slurm, "cancel", lambda ids: cancelled.extend(ids))
    one, time = watching(executor, answer)
    assert checked(one, "1") == ["1"]
    time.now = watch.GRACE_SECONDS + 1
    assert checked(one, "1") == [] and "1" in executor.failed
    assert cancelled == (["1"] if answer and "PENDING" in answer["1"] else [])


def test_a_job_that_cannot_be_cancelled_is_not_given_up(executor, monkeypatch):
    def silent(ids):
        raise slurm.Unanswered("away")

    monkeypatch.setattr(slurm, "cancel", silent)
    one, time = watching(executor, {"1": ("PENDING", "QOSMaxWallDurationPerJobLimit")})
    for time.now in (0, watch.GRACE_SECONDS + 1):
        assert checked(one, "1") == ["1"]
    assert not executor.failed


def test_no_job_is_lost_while_slurm_is_silent(executor, caplog):
    away = slurm.Unanswered("squeue: connect failure")
    one, time = watching(executor, away, away, {"1": ("COMPLETED", "")}, patience=60)
    for time.now in (0, 30):
        assert checked(one, "1", "2") == ["1", "2"]
    assert sum("does not answer" in message for message in caplog.messages) == 1
    time.now = 45
    assert checked(one, "1") == [] and executor.succeeded == ["1"]
    assert "SLURM answers again, after 45 s." in caplog.messages


def test_a_silence_too_long_ends_the_run_with_a_sentence(executor):
    one, time = watching(executor, slurm.Unanswered("squeue: connect failure"), patience=60)
    checked(one, "1")
    time.now = 61
    with pytest.raises(SilentScheduler, match="not answered for 1 minutes.*Jobs 1 may still run"):
        checked(one, "1")


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


@pytest.mark.parametrize("given", ["soon", "0", "-1", "nan", "inf"])
def test_patience_is_a_number_of_minutes(given, monkeypatch):
    monkeypatch.setenv(run.PATIENCE, given)
    with pytest.raises(ValueError, match=f"MERGESCALE_PATIENCE_MINUTES is '{given}'"):
        run.seconds_of_patience()


def test_patience_is_an_hour_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv(run.PATIENCE, raising=False)
    assert run.seconds_of_patience() == 3600
    monkeypatch.setenv(run.PATIENCE, "0.5")
    assert run.seconds_of_patience() == 30
