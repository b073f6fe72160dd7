"""Starts the job server of a run on this machine (`mergescale.cli.job_server`)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from itertools import chain
from pathlib import Path
from typing import Any

import psutil

from mergescale.cli.job_client import VARIABLE
from mergescale.cli.job_server import IMPORTS, child_name

# What has to stay open until this process ends: the server, with its standard input, and the folder
# of its socket.
_OPEN: list[Any] = []


def start_job_server(workflow: Any, enabled: bool) -> None:
    """Let one process with everything imported run the jobs, for a local run on Linux.

    On a cluster, jobs run on other machines and take long enough for their imports.

    Args:
        workflow: Snakemake's workflow, in `onstart:`.
        enabled: the configuration's `compute.job_server`.
    """
    if not enabled or sys.platform != "linux" or not workflow.local_exec:
        return
    folder = tempfile.TemporaryDirectory(prefix="mergescale-")
    path = str(Path(folder.name, "jobs"))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(128)
    server = subprocess.Popen(
        [sys.executable, "-m", "mergescale.cli.job_server", str(listener.fileno()), *IMPORTS],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[listener.fileno()],
        start_new_session=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # threads do not survive a fork
    )
    listener.close()  # the server has it: if it ends, clients are not kept waiting
    _OPEN.extend((server, folder))
    os.environ[VARIABLE] = path
    _measure_jobs_of(server.pid)


def _measure_jobs_of(server: int) -> None:
    """Let Snakemake's benchmark files have the processes that the server forks for a job.

    Snakemake measures the processes that descend from the job's shell. Written for Snakemake 9.27
    (`BenchmarkTimer.main`); where there is no such attribute, nothing happens.
    """
    from snakemake.benchmark import BenchmarkTimer

    class JobProcess(psutil.Process):
        def children(self, recursive: bool = False) -> list[psutil.Process]:
            own = super().children(recursive)
            names = {child_name(process.pid) for process in chain([self], own)}
            try:
                forked = [c for c in psutil.Process(server).children() if c.name() in names]
                return [*own, *forked, *(d for c in forked for d in c.children(recursive))]
            except psutil.NoSuchProcess:
                return own

    original = BenchmarkTimer.__init__

    def measured(self: Any, pid: int, *args: Any, **keywords: Any) -> None:
        original(self, pid, *args, **keywords)
        if hasattr(self, "main"):
            self.main = JobProcess(pid)

    BenchmarkTimer.__init__ = measured
