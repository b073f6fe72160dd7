"""Orphans: SLURM jobs that still run after the Snakemake run that submitted them was killed.

A new run would submit the same jobs again, and two would write the same files. So it first waits
for the orphans or cancels them. What they finish is used: Snakemake accepts their outputs.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from mergescale_snakemake import slurm
from mergescale_snakemake.slurm import SlurmJob, SlurmUnreachable

RUNS = Path(".snakemake") / "cluster_runs"
ACTION_VARIABLE = "MERGESCALE_ORPHANS"
POLL_SECONDS = 5.0
# After so many failed polls a new run does not start.
MAX_FAILED_POLLS = 60


class OrphanCheckFailed(Exception):
    """It is unknown whether orphans are running, or what to do with them."""


def record_run(run: str) -> None:
    """Record the process and the host behind the run with the id `run`."""
    RUNS.mkdir(parents=True, exist_ok=True)
    started = psutil.Process().create_time()
    process = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
    (RUNS / f"{run}.json").write_text(json.dumps(process))


def is_alive(run: str) -> bool:
    """Whether the process behind a run is seen running, which is possible on its host only."""
    try:
        recorded = json.loads((RUNS / f"{run}.json").read_text())
        process = psutil.Process(recorded["pid"])
        return recorded["host"] == socket.gethostname() and (
            abs(process.create_time() - recorded["started"]) < 1
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except (OSError, ValueError, KeyError, psutil.Error):
        return False


def find_orphans(list_jobs: Callable[[str], list[SlurmJob]] = slurm.list_jobs) -> list[SlurmJob]:
    """Unfinished jobs of this working directory whose run is not alive.

    Raises:
        SlurmUnreachable: squeue failed.
    """
    return [job for job in list_jobs(".") if not is_alive(job.run)]


def may_exist() -> bool:
    """Whether a SLURM run was recorded here since the queue was last seen without orphans."""
    return any(RUNS.glob("*.json")) and shutil.which("squeue") is not None


def delete_dead_records() -> None:
    """Delete the records of runs that are not alive; to be called when no orphan is left."""
    for file in RUNS.glob("*.json"):
        if not is_alive(file.stem):
            file.unlink(missing_ok=True)


def drain_orphans(
    warn: Callable[[str], None],
    list_jobs: Callable[[str], list[SlurmJob]] = slurm.list_jobs,
    cancel: Callable[[list[str]], None] = slurm.cancel,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until no orphan is left, or cancel the orphans.

    The environment variable MERGESCALE_ORPHANS is `wait` (default) or `cancel`.

    Args:
        warn: called with each message for the user.
        list_jobs: unfinished jobs of a working directory.
        cancel: cancels jobs by their numbers.
        sleep: waits for a number of seconds.

    Returns:
        Whether there were any orphans.

    Raises:
        OrphanCheckFailed: MERGESCALE_ORPHANS has another value, or SLURM does not respond.
    """
    action = os.environ.get(ACTION_VARIABLE, "wait")
    if action not in ("wait", "cancel"):
        raise OrphanCheckFailed(f"{ACTION_VARIABLE} must be wait or cancel, not {action!r}")
    first = orphans = _poll(warn, list_jobs, sleep)
    if not orphans:
        delete_dead_records()
        return False
    listed = ", ".join(job.description for job in orphans)
    if action == "cancel":
        warn(f"Canceling {len(orphans)} jobs of an earlier run in this folder: {listed}.")
        cancel([job.id for job in orphans])
    else:
        warn(
            f"{len(orphans)} jobs of an earlier run in this folder are still running: {listed}. "
            "Waiting for them, so that nothing is computed or written twice. To cancel them "
            f"instead: scancel {' '.join(job.id for job in orphans)}"
        )
    while orphans:
        sleep(POLL_SECONDS)
        before = len(orphans)
        orphans = _poll(warn, list_jobs, sleep)
        if 0 < len(orphans) != before:
            ended = len(first) - len(orphans)
            warn(f"{ended} of {len(first)} jobs of the earlier run have ended.")
    warn("All jobs of the earlier run have ended.")
    return True


def _poll(
    warn: Callable[[str], None],
    list_jobs: Callable[[str], list[SlurmJob]],
    sleep: Callable[[float], None],
) -> list[SlurmJob]:
    for poll in range(MAX_FAILED_POLLS):
        try:
            return find_orphans(list_jobs)
        except SlurmUnreachable as error:
            if poll == 0:
                warn(f"SLURM does not respond ({error}); trying again before submitting anything.")
            last = error
        sleep(POLL_SECONDS)
    raise OrphanCheckFailed(
        f"SLURM does not respond ({last}), so jobs of an earlier run may still write to this "
        "folder. Nothing was submitted; run the same command again when SLURM is back"
    )
