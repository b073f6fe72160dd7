"""SLURM's commands: what they are asked here, and how their answers are read."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SECONDS = 60
SEPARATOR = "|"


class Unanswered(Exception):
    """SLURM did not answer; the text is what its command said."""


@dataclass(frozen=True)
class Job:
    """A job that waits or runs, as squeue lists it."""

    id: str
    state: str
    run: str  # the job's name: the id of the run that submitted it
    folder: str
    comment: str

    @property
    def what(self) -> str:
        """The job as a person would name it: rule and wildcards, and SLURM's number."""
        name = self.comment.removeprefix("rule_").replace("_wildcards_", " ")
        return f"{self.id} ({name})"


def call(*command: str) -> str:
    """Run a SLURM command and return what it prints; Unanswered where it fails or hangs."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Unanswered(f"{command[0]} gave no answer within {SECONDS} s") from None
    except OSError as error:
        raise Unanswered(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        words = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise Unanswered(f"{command[0]}: {words.removeprefix(command[0] + ': ')}")
    return done.stdout


def jobs_in(folder: str | os.PathLike[str]) -> list[Job]:
    """Jobs of Snakemake runs of the working directory `folder` that have not ended yet."""
    here = os.path.realpath(folder)
    user = str(os.getuid())
    text = call("squeue", "--noheader", f"--user={user}", "--format=%A|%T|%j|%Z|%k")
    jobs = [Job(*line.split(SEPARATOR, 4)) for line in text.splitlines() if line.count("|") >= 4]
    return [job for job in jobs if is_run(job.run) and os.path.realpath(job.folder) == here]


def is_run(name: str) -> bool:
    """Whether a job's name is the id of a run: a UUID, perhaps after a prefix."""
    return bool(re.search(r"(^|_)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", name))


def states(run: str, ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """(state, reason) of the jobs of a run, by id; what nobody knows any more is left out.

    squeue forgets a finished job after the cluster's MinJobAge; then sacct is asked, where there
    is accounting. Raises Unanswered if squeue does not answer.
    """
    text = call("squeue", "--noheader", "--states=all", f"--name={run}", "--format=%A|%T|%r")
    known: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        if line.count(SEPARATOR) >= 2:
            number, state, reason = line.split(SEPARATOR, 2)
            known[number] = state, reason
    if forgotten := sorted(set(ids) - known.keys()):
        known |= _accounted(forgotten)
    return known


def _accounted(ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    try:
        text = call(
            *("sacct", "--allocations", "--noheader", "--parsable2"),
            *("--format=JobIDRaw,State", f"--jobs={','.join(ids)}"),
        )
    except Unanswered:
        return {}
    rows = [line.split(SEPARATOR) for line in text.splitlines() if line.count(SEPARATOR) == 1]
    # "CANCELLED by 1000"
    return {number: (state.split()[0], "") for number, state in rows if state and number in ids}


def cancel(ids: Iterable[str]) -> None:
    """Cancel jobs; those that have ended already are no fault."""
    call("scancel", *ids)
