"""What a run sets up before its first job: no limit on job starts, and an end on SIGTERM."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from conftest import environment

from mergescale_snakemake.run_setup import disable_job_rate_limit, stop_gracefully_on_sigterm

# A job fails, and SIGTERM arrives while the scheduler processes the failure with its lock held.
SNAKEFILE = """
import os, signal
from mergescale_snakemake.run_setup import stop_gracefully_on_sigterm

rule all:
    input: "failed.txt", "later.txt"

rule failed:
    output: "failed.txt"
    shell: "exit 1"

rule later:
    input: "failed.txt"
    output: "later.txt"
    shell: "date > {output}"

onstart:
    scheduler = workflow.scheduler
    handle_errors = scheduler._error_jobs

    def interrupted():
        assert scheduler._lock.locked()
        if scheduler._toerror:
            os.kill(os.getpid(), signal.SIGTERM)
        handle_errors()

    scheduler._error_jobs = interrupted
    if REPAIRED:
        stop_gracefully_on_sigterm(workflow)
"""


def run(folder, repaired: bool, timeout: float) -> subprocess.CompletedProcess[str]:
    (folder / "Snakefile").write_text(f"REPAIRED = {repaired}\n{SNAKEFILE}")
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def test_sigterm_ends_a_run_that_holds_the_schedulers_lock(tmp_path):
    ended = run(tmp_path, repaired=True, timeout=120)
    assert ended.returncode == 1, ended.stderr
    assert "Error in rule failed" in ended.stderr
    assert not list(tmp_path.glob(".snakemake/locks/*"))


@pytest.mark.slow
def test_snakemakes_own_handler_still_deadlocks(tmp_path):
    """Once it does not, the repair can go."""
    with pytest.raises(subprocess.TimeoutExpired):
        run(tmp_path, repaired=False, timeout=30)


@pytest.mark.parametrize("local", [True, False])
def test_only_local_runs_start_jobs_without_a_limit(local):
    limiter = object()
    workflow = SimpleNamespace(
        local_exec=local, scheduler=SimpleNamespace(job_rate_limiter=limiter)
    )
    disable_job_rate_limit(workflow)
    assert workflow.scheduler.job_rate_limiter is (None if local else limiter)


def test_another_version_of_snakemake_is_left_as_it_is():
    workflow = SimpleNamespace(local_exec=True, scheduler=SimpleNamespace())
    disable_job_rate_limit(workflow)
    stop_gracefully_on_sigterm(workflow)
    assert vars(workflow.scheduler) == {}
