"""Scenarios that run side by side on the tests' cluster: a study, and what goes wrong on clusters.

Most of the time is waiting for SLURM, so all take little longer than the longest one. Each scenario
has its own folder, and those that stop a node have that node to themselves; tests check what a
scenario left behind. The study's local run, for comparison, follows while `test_outage.py` waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from conftest import project_copy, snakemake, succeeded
from runs import Run, events, journal, toy

# config/smoke.yaml by default; MERGESCALE_TEST_STUDY=tiny for tests/tiny.yaml.
STUDY = os.environ.get("MERGESCALE_TEST_STUDY", "smoke")
OVERLAY = {"tiny": "tests/tiny.yaml", "smoke": "config/smoke.yaml"}[STUDY]
GPU_RULES = (
    *("pretrained_base", "instruction_tuned_base", "expert", "multitask", "reference_scores"),
    *("pretrained_base_of_largest", "instruction_tuned_base_of_largest"),
)
CPU_RULES = ("corpus", "mixture", "merge_scores")
# Avoids the nodes that other scenarios stop.
STABLE_NODES = "slurm_extra='--exclude=cpu2,cpu3'"


def study(cluster, folder: Path) -> Run:
    """Run the study from nothing; training and scoring jobs request a GPU each."""
    project_copy(folder)
    requests = [
        *(f"{rule}:gpu=1" for rule in GPU_RULES),
        *(f"{rule}:{STABLE_NODES}" for rule in CPU_RULES),
    ]
    # torch cannot use the cluster's fake GPUs.
    (folder / "cpu.yaml").write_text("compute: {device: cpu}\n")
    run = Run(folder, "--set-resources", *requests, "--configfile", OVERLAY, "cpu.yaml")
    run.wait()
    return run


def local_study(folder: Path) -> Path:
    """Run the same study without SLURM; returns its folder."""
    project_copy(folder)
    succeeded(snakemake(folder, "--configfile", OVERLAY))
    return folder


# Longer than a minute on any machine.
LONG_STUDY = """\
compute: {device: cpu}
training:
  pretrain: {steps: 8000, warmup: 10, checkpoint_every: 200}
"""


def over_memory_and_canceled(cluster, folder: Path) -> Run:
    run = toy(folder, "hog/a.txt", "nap/31.txt")
    run.until_begun("nap 31")
    cluster.run("scancel", events_of(folder, "nap 31")[0][2])
    run.wait()
    return run


def over_time(cluster, folder: Path) -> Run:
    project_copy(folder)
    (folder / "long.yaml").write_text(LONG_STUDY)
    weights = "results/tiny/models/40k/pt/model.safetensors"
    # On the GPU that the study does not use.
    requests = ("runtime=attempt", "gpu=1", "gpu_model=t4")
    resources = [f"pretrained_base_of_largest:{words}" for words in requests]
    files = ("--configfile", "tests/tiny.yaml", "long.yaml")
    run = Run(folder, weights, "--set-resources", *resources, f"corpus:{STABLE_NODES}", *files)
    run.wait()
    return run


def slurmd_killed(cluster, folder: Path) -> Run:
    # Shorter than SlurmdTimeout, after which the node counts as failed.
    run = toy(folder, "nap/12.txt", node="cpu3")
    run.until_begun("nap 12")
    cluster.kill("slurmd.cpu3")
    run.until(lambda: "end nap" in journal(folder))
    cluster.start_slurmd("cpu3")
    run.wait()
    return run


def node_crashed(cluster, folder: Path) -> Run:
    run = toy(folder, "nap/33.txt", node="cpu2")
    run.until_begun("nap 33")
    cluster.crash_node("cpu2")
    run.until(lambda: [job["state"] for job in cluster.jobs(folder)] == ["PENDING"])
    cluster.start_slurmd("cpu2")
    run.wait()
    return run


def main_killed(cluster, folder: Path) -> Run:
    first = toy(folder, "nap/64.txt", "nap/5.txt")
    first.until_begun("nap 64", "nap 5")
    first.kill()
    unlocking = Run(folder, "--unlock", *first.arguments)
    assert unlocking.wait() == 0, unlocking.text
    second = first.rerun()
    second.wait()
    return second


def refused(cluster, folder: Path) -> Run:
    names = ("gpus", "partition", "account", "runtime")
    run = toy(folder, *(f"impossible/{name}.txt" for name in names), "--retries", "0")
    run.wait()
    return run


SURVIVAL = (
    over_memory_and_canceled,
    over_time,
    slurmd_killed,
    node_crashed,
    main_killed,
    refused,
)


def events_of(folder: Path, job: str) -> list[tuple[str, str, str]]:
    """The events of one job, by rule and wildcards."""
    return [event for event in events(folder) if event[1] == job]


class Outcomes:
    """The outcomes of scenarios and of the local study; each is waited for when it is needed."""

    def __init__(self, runs: dict[Callable, Future], local: Future | None) -> None:
        self.runs, self.local = runs, local

    def of(self, scenario: Callable) -> Run:
        """The run that a scenario ended with."""
        return self.runs[scenario].result()

    def all(self) -> None:
        """Wait until all scenarios have ended."""
        wait(self.runs.values())


@contextmanager
def side_by_side(cluster, scenarios: Iterable[Callable], folder: Path) -> Iterator[Outcomes]:
    """Start scenarios, each in its own folder; a local run of the study follows them."""
    scenarios = tuple(scenarios)
    with ThreadPoolExecutor(len(scenarios) + 1) as pool:
        runs = {one: pool.submit(one, cluster, folder / one.__name__) for one in scenarios}

        def afterwards() -> Path:
            wait(runs.values())
            return local_study(folder / "local")

        yield Outcomes(runs, pool.submit(afterwards) if study in scenarios else None)
