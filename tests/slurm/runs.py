"""Runs of Snakemake on the tests' cluster, which tests disturb while they are under way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from conftest import ROOT, environment

# The profile as users have it, but for a look at the queue more often.
PROFILE = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "3")
# Only to end a test that would hang; no test is about time.
NEVER = 1200


class Run:
    """A run of Snakemake under the cluster profile in the background; use `wait` for its end."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.folder = folder
        # The toy workflow is run in a folder of its own, the study in a copy of the project.
        self.checkout = folder if (folder / "workflow").is_dir() else ROOT
        self.arguments = arguments
        self.variables = variables
        self.output = folder / f"output-{len(list(folder.glob('output-*')))}.txt"
        with self.output.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *PROFILE, *arguments],
                cwd=folder,
                env=environment(self.checkout) | variables,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """All that the run printed so far."""
        return self.output.read_text()

    def wait(self) -> int:
        """Wait for the run's end; its exit status."""
        try:
            return self.process.wait(timeout=NEVER)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the run hangs:\n{self.text}") from None

    def kill(self) -> None:
        """SIGKILL to the main process; its jobs go on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def until(self, reached: Callable[[], object]) -> None:
        """Wait for something while the run goes on."""
        end = time.monotonic() + NEVER
        while not reached():
            assert self.process.poll() is None, f"the run ended too early:\n{self.text}"
            assert time.monotonic() < end, f"not reached:\n{self.text}"
            time.sleep(0.2)

    def until_begun(self, *what: str) -> None:
        """Wait until the journal of the toy tells that jobs (`nap 20`) are at work."""
        self.until(lambda: all(f"begin {job}" in journal(self.folder) for job in what))

    def again(self) -> Run:
        """The same command once more."""
        return Run(self.folder, *self.arguments, **self.variables)


def toy(folder: Path, *arguments: str, node: str = "cpu1", **variables: str) -> Run:
    """A run of tests/slurm/toy in a new folder; its jobs run on one node."""
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "slurm" / "toy" / "Snakefile", folder)
    shutil.copytree(ROOT / "profiles" / "slurm", folder / "profiles" / "slurm")
    there = f"slurm_extra='--nodelist={node}'"
    pinned = [f"{rule}:{there}" for rule in ("nap", "hog", "later")]
    return Run(folder, *arguments, "--set-resources", *pinned, **variables)


def journal(folder: Path) -> str:
    """What the toy's jobs told so far."""
    file = folder / "journal.txt"
    return file.read_text() if file.is_file() else ""


def events(folder: Path) -> list[tuple[str, str, str]]:
    """The journal as (begin or end, rule and wildcards, SLURM's number)."""
    lines = [line.split() for line in journal(folder).splitlines()]
    return [(first, " ".join(middle), last) for first, *middle, last in lines]


def accounted(run: Callable[..., str], folder: Path, columns: str) -> dict[str, list[list[str]]]:
    """sacct's columns of the jobs of a folder, by rule and wildcards, in the order of submission.

    Repeated starts of one job (requeued) are rows of their own.
    """
    text = run(
        *("sacct", "--allocations", "--noheader", "--parsable2", "--duplicates"),
        f"--format=WorkDir,Comment,{columns}",
    )
    found: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        place, comment, *rest = line.split("|")
        if place == os.path.realpath(folder):
            name = comment.removeprefix("rule_").replace("_wildcards_", " ")
            found.setdefault(name, []).append(rest)
    return found
