"""Jobs that go on after the run that submitted them was killed: they are ended before a new run.

Otherwise the new run would submit the same jobs, and two would write the same files. What such jobs
finish is not lost: Snakemake accepts their outputs.
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

RUNS = Path(".snakemake") / "cluster_runs"
WHAT_TO_DO = "MERGESCALE_ORPHANS"
POLL_SECONDS = 5.0
# A run that cannot learn whether there are orphans does not start.
SILENT_POLLS = 60


class Undecided(Exception):
    """Nobody can tell whether jobs of an earlier run are at work, or what to do with them."""


def record(run: str) -> None:
    """Remember which process, on which host, stands behind a run."""
    RUNS.mkdir(parents=True, exist_ok=True)
    started = psutil.Process().create_time()
    known = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
    (RUNS / f"{run}.json").write_text(json.dumps(known))


def lives(run: str) -> bool:
    """Whether the process behind a run is seen at work, which is possible on its host only."""
    try:
        known = json.loads((RUNS / f"{run}.json").read_text())
        process = psutil.Process(known["pid"])
        return known["host"] == socket.gethostname() and (
            abs(process.create_time() - known["started"]) < 1
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except (OSError, ValueError, KeyError, psutil.Error):
        return False


def found(jobs_in: Callable[[str], list[slurm.Job]] = slurm.jobs_in) -> list[slurm.Job]:
    """Jobs of this working directory whose run is not seen at work."""
    return [job for job in jobs_in(".") if not lives(job.run)]


def possible() -> bool:
    """Whether a run on SLURM was here since the queue was last found empty of its jobs."""
    return any(RUNS.glob("*.json")) and shutil.which("squeue") is not None


def forget_dead_runs() -> None:
    """Drop the records of runs that are not seen at work, once none of their jobs is left."""
    for file in RUNS.glob("*.json"):
        if not lives(file.stem):
            file.unlink(missing_ok=True)


def settle(
    say: Callable[[str], None],
    jobs_in: Callable[[str], list[slurm.Job]] = slurm.jobs_in,
    cancel: Callable[[list[str]], None] = slurm.cancel,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until no orphan is left, or cancel them; returns whether there were any.

    MERGESCALE_ORPHANS in the environment is `wait` (default) or `cancel`. Raises Undecided for
    another value, and when SLURM gives no answer.
    """
    choice = os.environ.get(WHAT_TO_DO, "wait")
    if choice not in ("wait", "cancel"):
        raise Undecided(f"{WHAT_TO_DO} is {choice!r}: it may be wait or cancel")
    first = orphans = _asked(say, jobs_in, sleep)
    if not orphans:
        forget_dead_runs()
        return False
    listed = ", ".join(job.what for job in orphans)
    if choice == "cancel":
        say(f"Cancelling {len(orphans)} jobs of an earlier run of this folder: {listed}.")
        cancel([job.id for job in orphans])
    else:
        say(
            f"{len(orphans)} jobs of an earlier run of this folder are still at work: {listed}. "
            "Waiting for them, so that nothing is computed or written twice. To cancel them "
            f"instead: scancel {' '.join(job.id for job in orphans)}"
        )
    while orphans:
        sleep(POLL_SECONDS)
        before = len(orphans)
        orphans = _asked(say, jobs_in, sleep)
        if 0 < len(orphans) != before:
            say(f"{len(first) - len(orphans)} of {len(first)} jobs of the earlier run have ended.")
    say("No job of an earlier run is left.")
    return True


def _asked(
    say: Callable[[str], None],
    jobs_in: Callable[[str], list[slurm.Job]],
    sleep: Callable[[float], None],
) -> list[slurm.Job]:
    for poll in range(SILENT_POLLS):
        try:
            return found(jobs_in)
        except slurm.Unanswered as silence:
            if poll == 0:
                say(
                    f"SLURM does not answer ({silence}); asking again before anything is submitted."
                )
            last = silence
        sleep(POLL_SECONDS)
    raise Undecided(
        f"SLURM does not answer ({last}), so jobs of an earlier run may be at work in this folder. "
        "Nothing was submitted; start again when SLURM is back."
    )
