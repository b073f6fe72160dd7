"""A whole study on a cluster: submissions, hours, disk, and how much of it is start-up."""

from __future__ import annotations

from dataclasses import dataclass

from mergescale.config import selectors as study
from mergescale_snakemake import job_resources as cluster
from mergescale_snakemake.machine import Machine, Need, nodes, submissions

# Seconds from a trivial job's submission to its end. Measured with the SLURM executor plugin 2.8.0
# on one node whose cores were busy: 5 to 7, of them 1.4 of processor time for Snakemake.
SNAKEMAKE = 5.5
# Seconds of a stage until its imports are done. Measured: 132 s in the 39 timed jobs of a smoke
# study (results/smoke/timing.csv, two cores). Assumption: no more on a shared file system.
IMPORTS = 3.4
# One job each, whatever the study.
SINGLE = (
    "task_table",
    "mixture",
    "draws",
    "scores",
    "performance",
    "tables",
    "figures",
    "study_record",
    "timing",
    "report",
)
# Not submitted: they take seconds, or need a network, as `mixture` does where it is from the hub.
LOCAL = {*SINGLE, "task", "tokenizer", "hub_model"} - {"mixture"}


@dataclass(frozen=True)
class Jobs:
    """Jobs of one rule that need the same; `local` ones are not submitted."""

    rule: str
    number: int
    need: Need
    size: str | None = None
    count: int | None = None
    local: bool = False


def jobs(config: dict) -> list[Jobs]:
    """All jobs of a study from nothing to its figures."""
    sizes, bases = study.sizes(config), config["bases"]
    scratch = any(study.origin(config, size) == "scratch" for size in sizes)
    found = [_jobs(config, "task", len(study.tasks(config)))]
    found += [_jobs(config, rule, 1) for rule in SINGLE if rule != "mixture" or "it" in bases]
    found += [_jobs(config, rule, 1) for rule in ("tokenizer", "corpus") if scratch]
    for size in sizes:
        if study.origin(config, size) == "hub":
            found.append(_jobs(config, "hub_model", 1, size))
        found.append(_jobs(config, "pretrained_base", 1, size))
        if "it" in bases:
            found.append(_jobs(config, "instruction_tuned_base", 1, size))
        experts = len(bases) * len(study.categories(config))
        found.append(_jobs(config, "expert", experts, size))
        found.append(_jobs(config, "multitask", len(bases), size))
        found.append(_jobs(config, "reference_scores", len(bases), size))
        draws = len(bases) * len(config["draws"]["seeds"])
        found += [_jobs(config, "merge_scores", draws, size, n) for n in config["draws"]["counts"]]
    return found


def _jobs(
    config: dict, rule: str, number: int, size: str | None = None, count: int | None = None
) -> Jobs:
    local = rule in LOCAL or (rule == "mixture" and config["mixture"]["source"] == "hub")
    return Jobs(rule, number, cluster.need(config, rule, size, count), size, count, local)


@dataclass
class Cost:
    """What jobs cost in all.

    Attributes:
        submissions: to the scheduler, those of resumed training counted again.
        start_up, work: hours of the jobs; start-up is Snakemake, imports and reading weights.
        gpu_hours: of both; `node_hours`: of whole nodes, by the larger share of GPUs and memory.
        disk: bytes that stay.
    """

    jobs: int = 0
    submissions: int = 0
    start_up: float = 0.0
    work: float = 0.0
    gpu_hours: float = 0.0
    node_hours: float = 0.0
    disk: float = 0.0

    def add(self, group: Jobs, machine: Machine) -> None:
        """Count a group of jobs in."""
        need, times = group.need, submissions(group.need, machine)
        starts = times * (SNAKEMAKE + IMPORTS + need.reading) / 3600
        # The first reading is part of the work's estimate.
        work = (need.seconds - need.reading) / 3600
        hours, number = starts + work, group.number
        share = max(
            need.gpus / machine.gpus_per_node / nodes(need, machine),
            min(1.0, need.memory / machine.node_memory),
        )
        self.jobs += number
        self.disk += number * need.disk
        if group.local:
            return
        self.submissions += number * times
        self.start_up += number * starts
        self.work += number * work
        self.gpu_hours += number * hours * need.gpus
        self.node_hours += number * hours * share * nodes(need, machine)


def costs(config: dict, by: str = "rule") -> dict[str, Cost]:
    """Costs by `rule` or by `size` (jobs without a size left out), and of all as `total`."""
    machine, found, total = cluster.machine(config), {}, Cost()
    for group in jobs(config):
        total.add(group, machine)
        if (key := getattr(group, by)) is not None:
            found.setdefault(key, Cost()).add(group, machine)
    return {**found, "total": total}
