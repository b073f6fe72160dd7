"""Runs of Snakemake on the tests' cluster, which tests disturb while they run."""

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

# The profile as users have it, but with more frequent status checks.
PROFILE = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "3")
# Ends a test that hangs; no test measures time.
HANG_SECONDS = 1200


class Run:
    """A run of Snakemake under the cluster profile in the background; use `wait` for its end."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.folder = folder
        # The toy workflow runs in its own folder, the study in a copy of the project.
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
        """What the run has printed so far."""
        return self.output.read_text()

    def wait(self) -> int:
        """Wait for the run's end; returns its exit status."""
        try:
            return self.process.wait(timeout=HANG_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the run hangs:\n{self.text}") from None

    def kill(self) -> None:
        """Send SIGKILL to the main process; its jobs keep running."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def until(self, reached: Callable[[], object]) -> None:
        """Wait for a condition while the run continues."""
        end = time.monotonic() + HANG_SECONDS
        while not reached():
            assert self.process.poll() is None, f"the run ended too early:\n{self.text}"
            assert time.monotonic() < end, f"not reached:\n{self.text}"
            time.sleep(0.2)

    def until_begun(self, *jobs: str) -> None:
        """Wait until the toy's journal says that jobs, such as `nap 20`, have begun."""
        self.until(lambda: all(f"begin {job}" in journal(self.folder) for job in jobs))

    def rerun(self) -> Run:
        """Start the same command again."""
        return Run(self.folder, *self.arguments, **self.variables)


def toy(folder: Path, *arguments: str, node: str = "cpu1", **variables: str) -> Run:
    """Run tests/slurm/toy in a new folder, with its jobs on one node."""
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "slurm" / "toy" / "Snakefile", folder)
    shutil.copytree(ROOT / "profiles" / "slurm", folder / "profiles" / "slurm")
    nodelist = f"slurm_extra='--nodelist={node}'"
    pinned = [f"{rule}:{nodelist}" for rule in ("nap", "hog", "later")]
    return Run(folder, *arguments, "--set-resources", *pinned, **variables)


def journal(folder: Path) -> str:
    """What the toy's jobs have recorded so far."""
    file = folder / "journal.txt"
    return file.read_text() if file.is_file() else ""


def events(folder: Path) -> list[tuple[str, str, str]]:
    """The journal as (begin or end, rule and wildcards, SLURM's number)."""
    lines = [line.split() for line in journal(folder).splitlines()]
    return [(first, " ".join(middle), last) for first, *middle, last in lines]


def accounted(run: Callable[..., str], folder: Path, columns: str) -> dict[str, list[list[str]]]:
    """sacct's columns of the jobs of a folder, by rule and wildcards, in the order of submission.

    A requeued job has a row for each start.
    """
    text = run(
        *("sacct", "--allocations", "--noheader", "--parsable2", "--duplicates"),
        f"--format=WorkDir,Comment,{columns}",
    )
    rows: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        workdir, comment, *rest = line.split("|")
        if workdir == os.path.realpath(folder):
            name = comment.removeprefix("rule_").replace("_wildcards_", " ")
            rows.setdefault(name, []).append(rest)
    return rows
