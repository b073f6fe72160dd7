"""Whatever state SLURM reports, a job succeeds, fails with a reason, or is checked again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from slurm_executor import Executor

from mergescale_snakemake import guard, job_monitor, slurm
from mergescale_snakemake.job_monitor import JobMonitor, SlurmOutage


@pytest.fixture
def executor():
    return Executor()


def job(number: str, log=None):
    return SimpleNamespace(external_jobid=number, aux={"slurm_logfile": log})


def active_after_check(monitor: JobMonitor, *numbers: str) -> list[str]:
    """Check jobs once; the numbers of those that are still active."""

    async def check():
        return [j.external_jobid async for j in monitor.check([job(number) for number in numbers])]

    return asyncio.run(check())


def make_monitor(executor, *responses, **settings):
    """A monitor whose queries return these responses, the last one repeatedly; and its clock."""
    queue = list(responses)
    time = SimpleNamespace(now=0.0)

    def query(run, ids):
        response = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(response, Exception):
            raise response
        return response

    return JobMonitor(executor, query=query, clock=lambda: time.now, **settings), time


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED"])
def test_unfinished_jobs_stay_active(executor, state):
    monitor, time = make_monitor(executor, {"1": (state, "Resources")})
    for time.now in (0, 1e6):
        assert active_after_check(monitor, "1") == ["1"]
    assert not executor.succeeded and not executor.failed


def test_a_finished_job_is_reported_once_and_its_log_removed(executor, tmp_path):
    log = tmp_path / "1.log"
    log.write_text("")
    monitor, _ = make_monitor(executor, {"1": ("COMPLETED", "None"), "2": ("RUNNING", "None")})

    async def check():
        return [j async for j in monitor.check([job("1", log), job("2")])]

    assert len(asyncio.run(check())) == 1
    assert executor.succeeded == ["1"] and not log.exists()


@pytest.mark.parametrize("state", list(job_monitor.FAILED))
def test_failed_jobs_are_reported_with_a_reason(executor, state):
    monitor, _ = make_monitor(executor, {"1": (state, "None")})
    assert active_after_check(monitor, "1") == []
    assert job_monitor.FAILED[state] in executor.failed["1"] and state in executor.failed["1"]


@pytest.mark.parametrize("state", list(job_monitor.USUALLY_REQUEUED))
def test_a_job_of_a_failed_node_gets_the_time_to_be_requeued(executor, state):
    monitor, time = make_monitor(executor, {"1": (state, "")}, {"1": ("PENDING", "BeginTime")})
    assert active_after_check(monitor, "1") == ["1"]
    time.now = 1000
    assert active_after_check(monitor, "1") == ["1"] and not executor.failed


@pytest.mark.parametrize(
    "response", [{"1": ("NODE_FAIL", "")}, {}, {"1": ("PENDING", "PartitionTimeLimit")}]
)
def test_a_job_that_stays_in_a_bad_state_fails_after_the_grace_period(
    executor, response, monkeypatch
):
    cancelled: list[str] = []
    monkeypatch.setattr(slurm, "cancel", lambda ids: cancelled.extend(ids))
    monitor, time = make_monitor(executor, response)
    assert active_after_check(monitor, "1") == ["1"]
    time.now = job_monitor.GRACE_SECONDS + 1
    assert active_after_check(monitor, "1") == [] and "1" in executor.failed
    assert cancelled == (["1"] if response and "PENDING" in response["1"] else [])


def test_a_job_that_cannot_be_canceled_stays_active(executor, monkeypatch):
    def unreachable(ids):
        raise slurm.SlurmUnreachable("away")

    monkeypatch.setattr(slurm, "cancel", unreachable)
    monitor, time = make_monitor(executor, {"1": ("PENDING", "QOSMaxWallDurationPerJobLimit")})
    for time.now in (0, job_monitor.GRACE_SECONDS + 1):
        assert active_after_check(monitor, "1") == ["1"]
    assert not executor.failed


def test_no_job_is_lost_during_an_outage(executor, caplog):
    away = slurm.SlurmUnreachable("squeue: connect failure")
    monitor, time = make_monitor(executor, away, away, {"1": ("COMPLETED", "")}, outage_timeout=60)
    for time.now in (0, 30):
        assert active_after_check(monitor, "1", "2") == ["1", "2"]
    assert sum("does not respond" in message for message in caplog.messages) == 1
    time.now = 45
    assert active_after_check(monitor, "1") == [] and executor.succeeded == ["1"]
    assert "SLURM responds again after 45 s." in caplog.messages


def test_too_long_an_outage_ends_the_run(executor):
    monitor, time = make_monitor(
        executor, slurm.SlurmUnreachable("squeue: connect failure"), outage_timeout=60
    )
    active_after_check(monitor, "1")
    time.now = 61
    with pytest.raises(SlurmOutage, match="not responded for 1 minutes.*Jobs 1 may still run"):
        active_after_check(monitor, "1")


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_the_outage_timeout_is_a_number_of_minutes(text, monkeypatch):
    monkeypatch.setenv(guard.OUTAGE_VARIABLE, text)
    with pytest.raises(
        ValueError, match=f"MERGESCALE_SLURM_TIMEOUT_MINUTES must be .* not '{text}'"
    ):
        guard.outage_timeout_seconds()


def test_the_outage_timeout_is_an_hour_by_default(monkeypatch):
    monkeypatch.delenv(guard.OUTAGE_VARIABLE, raising=False)
    assert guard.outage_timeout_seconds() == 3600
    monkeypatch.setenv(guard.OUTAGE_VARIABLE, "0.5")
    assert guard.outage_timeout_seconds() == 30
