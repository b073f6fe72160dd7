"""Whatever SLURM says of a job, it ends in success, in an error with words, or in patience."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from slurm_executor import Executor

from mergescale_snakemake import guard as run
from mergescale_snakemake import slurm, watch
from mergescale_snakemake.watch import SilentScheduler, Watch


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
