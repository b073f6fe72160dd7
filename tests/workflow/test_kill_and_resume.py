"""A run that is killed three times, with all its processes, has the bytes of an undisturbed one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import environment, job_counts, project_copy, snakemake, succeeded

pytestmark = pytest.mark.slow

# One job at a time, so that one step is in progress when the run is killed.
CALL = ("results/tiny/scores.csv", "--cores", "1", "--configfile", "tests/tiny.yaml")


def test_a_run_killed_at_three_points_ends_with_the_same_bytes(tiny_study_run, tmp_path):
    folder = project_copy(tmp_path / "project")
    results, logs = folder / "results" / "tiny", folder / "logs"

    # In pre-training, between two checkpoints.
    mark = results / ".checkpoints" / "40k" / "pt" / "latest.json"
    first = killed_when(folder, mark.is_file)
    step = json.loads(mark.read_text())["step"]
    assert 0 < step < 200
    after_first = finished_files(results)
    assert not any("model.safetensors" in file for file in after_first)

    # While an expert is trained: its log has progress, and it has no weights yet.
    def running_experts() -> list[Path]:
        begun = logs_with_progress(logs / "expert" / "tiny" / "40k")
        folders = [results / "models/40k" / log.parent.name / "experts" / log.stem for log in begun]
        return [expert for expert in folders if not (expert / "training.json").is_file()]

    second = killed_when(folder, running_experts)
    assert len(running_experts()) == 1
    assert (
        f"resuming from step {step} of 200" in (logs / "pretrained_base/tiny/40k.log").read_text()
    )
    after_second = finished_files(results)
    assert f"{results}/models/40k/pt/model.safetensors" in after_second

    # While merges are scored: some evaluations are done, others are not.
    def running_merges() -> list[str]:
        begun = logs_with_progress(logs / "merge_scores" / "tiny" / "40k")
        folders = [f"40k/{log.parent.name}/merges/{log.stem}" for log in begun]
        # The last method of the configuration is scored last.
        return [f for f in folders if not (results / "scores" / f / "dare_ties.json").is_file()]

    third = killed_when(folder, running_merges)
    (running,) = running_merges()
    # Outputs of the running job are made again, from cached evaluations.
    after_third = {f: w for f, w in finished_files(results).items() if running not in f}
    assert any("/.cache/" in file for file in after_third)

    unlock(folder)
    final = succeeded(snakemake(folder, *CALL))
    # By Snakemake's own counts, every restart did what the run before had not finished.
    for (jobs, done), later in zip(
        (first, second, third), (second[0], third[0], job_counts(final)), strict=True
    ):
        assert Counter(later) == Counter(jobs) - done
    # And nothing that was finished was made again.
    for before in (after_first, after_second, after_third):
        now = finished_files(results)
        assert [file for file, written in before.items() if now.get(file) != written] == []
    assert not list((results / ".checkpoints").rglob("latest.json")), (
        "checkpoints of finished training"
    )

    uninterrupted = tiny_study_run / "results" / "tiny"
    for file in ("scores.csv", *model_files(uninterrupted)):
        assert (results / file).read_bytes() == (uninterrupted / file).read_bytes(), file


def killed_when(folder: Path, reached: Callable[[], object]) -> tuple[dict[str, int], Counter]:
    """Start or restart the run and kill it with all its processes as soon as `reached()`.

    Returns the jobs that it was going to run and those that it finished, by rule.
    """
    if (folder / ".snakemake").exists():
        unlock(folder)
    output = folder / "output.txt"
    with output.open("w") as stream:
        run = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *CALL],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while not reached():
                assert run.poll() is None, f"ended too early:\n{output.read_text()}"
                time.sleep(0.01)
        finally:
            kill_tree(run)
    return job_counts(output.read_text()), finished_jobs(folder)


def kill_tree(run: subprocess.Popen) -> None:
    """Send SIGKILL to the run and all its descendants, and wait for their end."""
    if run.poll() is not None:
        return
    descendants = psutil.Process(run.pid).children(recursive=True)
    os.killpg(run.pid, signal.SIGKILL)
    for process in descendants:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    run.wait()
    psutil.wait_procs(descendants)


def unlock(folder: Path) -> None:
    """Unlock the folder, which a killed Snakemake leaves locked."""
    succeeded(snakemake(folder, "--unlock", *CALL))


def finished_jobs(folder: Path) -> Counter:
    """Jobs that the last run finished, by rule, from the log file that Snakemake keeps."""
    logs = sorted((folder / ".snakemake" / "log").glob("*.snakemake.log"))
    names = re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", logs[-1].read_text())
    return Counter(name.removesuffix("_of_largest") for name in names)


def logs_with_progress(folder: Path) -> list[Path]:
    """Logs with a line such as `12/120 loss 3.2`."""
    return [log for log in folder.rglob("*.log") if re.search(r"^\d+/\d+", log.read_text(), re.M)]


def finished_files(results: Path) -> dict[str, int]:
    """Complete result files and when they were written, without checkpoints and partial files."""
    return {
        str(file): file.stat().st_mtime_ns
        for file in results.rglob("*")
        if file.is_file()
        and ".checkpoints" not in file.parts
        and not file.name.endswith(".partial")
    }


def model_files(results: Path) -> list[str]:
    """Weights and records of all models, by their path in `results`."""
    found = [*results.glob("models/**/*.safetensors"), *results.glob("models/**/training.json")]
    assert len(found) == 2 * 2 * (1 + 2 + 1)
    return [str(file.relative_to(results)) for file in found]
