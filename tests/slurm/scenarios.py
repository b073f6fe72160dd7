"""What goes on beside each other on the tests' cluster: a study, and what happens to clusters.

Most of it waits for SLURM, so it costs little more than its longest part. Each scenario has a
folder of its own, and those that take a node away have that node to themselves; tests ask for what
a scenario left behind. The study's local run, with which it is compared, follows while
`test_outage.py` waits.
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
# Away from the nodes that other scenarios take down.
QUIET = "slurm_extra='--exclude=cpu2,cpu3'"


def study(cluster, folder: Path) -> Run:
    """The study from nothing; training and scoring ask for a GPU each."""
    project_copy(folder)
    asked = [*(f"{rule}:gpu=1" for rule in GPU_RULES), *(f"{rule}:{QUIET}" for rule in CPU_RULES)]
    # The cluster's GPUs are none that torch could use.
    (folder / "cpu.yaml").write_text("compute: {device: cpu}\n")
    run = Run(folder, "--set-resources", *asked, "--configfile", OVERLAY, "cpu.yaml")
    run.wait()
    return run


def local_study(folder: Path) -> Path:
    """The same study without SLURM; its folder."""
    project_copy(folder)
    succeeded(snakemake(folder, "--configfile", OVERLAY))
    return folder


# Longer than a minute on any machine. The cluster's GPUs are none that torch could use.
LONG_STUDY = """\
compute: {device: cpu}
training:
  pretrain: {steps: 8000, warmup: 10, checkpoint_every: 200}
"""


def over_memory_and_cancelled(cluster, folder: Path) -> Run:
    run = toy(folder, "hog/a.txt", "nap/31.txt")
    run.until_begun("nap 31")
    cluster.run("scancel", events_of(folder, "nap 31")[0][2])
    run.wait()
    return run


def over_time(cluster, folder: Path) -> Run:
    project_copy(folder)
    (folder / "long.yaml").write_text(LONG_STUDY)
    weights = "results/tiny/models/40k/pt/model.safetensors"
    # On the GPU that the study leaves alone.
    asked = ("runtime=attempt", "gpu=1", "gpu_model=t4")
    resources = [f"pretrained_base_of_largest:{words}" for words in asked]
    files = ("--configfile", "tests/tiny.yaml", "long.yaml")
    run = Run(folder, weights, "--set-resources", *resources, f"corpus:{QUIET}", *files)
    run.wait()
    return run


def slurmd_killed(cluster, folder: Path) -> Run:
    # Over before the node counts as failed (SlurmdTimeout).
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
    second = first.again()
    second.wait()
    return second


def refused(cluster, folder: Path) -> Run:
    names = ("gpus", "partition", "account", "runtime")
    run = toy(folder, *(f"impossible/{name}.txt" for name in names), "--retries", "0")
    run.wait()
    return run


SURVIVAL = (
    over_memory_and_cancelled,
    over_time,
    slurmd_killed,
    node_crashed,
    main_killed,
    refused,
)


def events_of(folder: Path, what: str) -> list[tuple[str, str, str]]:
    """The events of one job, by rule and wildcards."""
    return [event for event in events(folder) if event[1] == what]


class Ends:
    """What scenarios, and the local study, end with; each is waited for when it is asked for."""

    def __init__(self, runs: dict[Callable, Future], local: Future | None) -> None:
        self.runs, self.local = runs, local

    def of(self, scenario: Callable) -> Run:
        """The run that a scenario ended with."""
        return self.runs[scenario].result()

    def all(self) -> None:
        """Wait until SLURM has nothing more to do."""
        wait(self.runs.values())


@contextmanager
def side_by_side(cluster, scenarios: Iterable[Callable], folder: Path) -> Iterator[Ends]:
    """Start scenarios, each in a folder of its own; a local run of the study comes after them."""
    scenarios = tuple(scenarios)
    with ThreadPoolExecutor(len(scenarios) + 1) as pool:
        runs = {one: pool.submit(one, cluster, folder / one.__name__) for one in scenarios}

        def afterwards() -> Path:
            wait(runs.values())
            return local_study(folder / "local")

        yield Ends(runs, pool.submit(afterwards) if study in scenarios else None)
