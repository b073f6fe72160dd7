"""Snakemake's benchmark files have the process that the job server forks for a job."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time

import psutil
import pytest

from mergescale.cli.job_server import child_name
from mergescale_snakemake.job_server import _measure_jobs_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the job server needs Linux")


@pytest.fixture
def forked():
    """A client without children, and a child of this process that works for it."""
    client = subprocess.Popen(["sleep", "600"])
    child = os.fork()
    if not child:
        ctypes.CDLL(None).prctl(15, child_name(client.pid).encode())
        while True:
            time.sleep(600)
    yield client.pid, child
    client.kill()
    client.wait()
    os.kill(child, 9)
    os.waitpid(child, 0)


def test_the_forked_process_counts_as_one_of_the_job(forked, monkeypatch):
    from snakemake.benchmark import BenchmarkTimer

    client, child = forked
    monkeypatch.setattr(BenchmarkTimer, "__init__", BenchmarkTimer.__init__)
    _measure_jobs_of(os.getpid())
    while psutil.Process(child).name() != child_name(client):
        pass
    timer = BenchmarkTimer(client, None)
    assert [process.pid for process in timer.main.children(recursive=True)] == [child]
    assert timer.main.pid == client
