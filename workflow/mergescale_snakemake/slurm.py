"""SLURM's commands (squeue, sacct, scancel): how they are called, and how their output is read."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COMMAND_TIMEOUT_SECONDS = 60
SEPARATOR = "|"


class SlurmUnreachable(Exception):
    """A SLURM command failed or timed out; the text is its error message."""


@dataclass(frozen=True)
class SlurmJob:
    """A job that is pending or running, as squeue lists it.

    Attributes:
        id: SLURM's number.
        state: such as PENDING or RUNNING.
        run: the job's name, which is the id of the Snakemake run that submitted it.
        folder: the working directory.
        comment: rule and wildcards, as the executor plugin writes them.
    """

    id: str
    state: str
    run: str
    folder: str
    comment: str

    @property
    def description(self) -> str:
        """The job for a message: SLURM's number, rule and wildcards."""
        name = self.comment.removeprefix("rule_").replace("_wildcards_", " ")
        return f"{self.id} ({name})"


def run_command(*command: str) -> str:
    """Run a SLURM command and return what it prints.

    Raises:
        SlurmUnreachable: it failed, timed out or is not installed.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise SlurmUnreachable(
            f"{command[0]} timed out after {COMMAND_TIMEOUT_SECONDS} s"
        ) from None
    except OSError as error:
        raise SlurmUnreachable(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        message = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise SlurmUnreachable(f"{command[0]}: {message.removeprefix(command[0] + ': ')}")
    return done.stdout


def list_jobs(folder: str | os.PathLike[str]) -> list[SlurmJob]:
    """Unfinished jobs of Snakemake runs whose working directory is `folder`.

    Raises:
        SlurmUnreachable: squeue failed.
    """
    here = os.path.realpath(folder)
    user = str(os.getuid())
    text = run_command("squeue", "--noheader", f"--user={user}", "--format=%A|%T|%j|%Z|%k")
    lines = [line for line in text.splitlines() if line.count(SEPARATOR) >= 4]
    jobs = [SlurmJob(*line.split(SEPARATOR, 4)) for line in lines]
    return [job for job in jobs if is_run_id(job.run) and os.path.realpath(job.folder) == here]


def is_run_id(name: str) -> bool:
    """Whether a job's name is the id of a Snakemake run: a UUID, perhaps after a prefix."""
    return bool(re.search(r"(^|_)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", name))


def job_states(run: str, ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """State and reason of the jobs of a run; jobs that SLURM no longer knows are left out.

    squeue forgets a finished job after the cluster's MinJobAge; sacct is asked for those, where
    the cluster has accounting.

    Args:
        run: the run's id.
        ids: SLURM's numbers of the jobs.

    Returns:
        (state, reason) by number.

    Raises:
        SlurmUnreachable: squeue failed.
    """
    text = run_command("squeue", "--noheader", "--states=all", f"--name={run}", "--format=%A|%T|%r")
    states: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        if line.count(SEPARATOR) >= 2:
            number, state, reason = line.split(SEPARATOR, 2)
            states[number] = state, reason
    if missing := sorted(set(ids) - states.keys()):
        states |= _states_from_accounting(missing)
    return states


def _states_from_accounting(ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    try:
        text = run_command(
            *("sacct", "--allocations", "--noheader", "--parsable2"),
            *("--format=JobIDRaw,State", f"--jobs={','.join(ids)}"),
        )
    except SlurmUnreachable:
        return {}
    rows = [line.split(SEPARATOR) for line in text.splitlines() if line.count(SEPARATOR) == 1]
    # The first word: "CANCELLED by 1000"
    return {number: (state.split()[0], "") for number, state in rows if state and number in ids}


def cancel(ids: Iterable[str]) -> None:
    """Cancel jobs; those that have ended already are no error.

    Raises:
        SlurmUnreachable: scancel failed.
    """
    run_command("scancel", *ids)


def is_reachable() -> bool:
    """Whether the controller and, where there is one, the accounting daemon respond."""
    try:
        run_command("squeue", "--noheader", "--user=root", "--states=PENDING")
        return True
    except SlurmUnreachable:
        return False
