"""The cost of a whole study on a cluster: submissions, hours, disk, and the share of start-up."""

from __future__ import annotations

from dataclasses import dataclass

from mergescale.config import selectors as study
from mergescale_snakemake.job_resources import cluster_machine, estimate
from mergescale_snakemake.machine import Machine, ResourceEstimate, num_nodes, num_submissions

# Seconds from a trivial job's submission to its end. Measured with the SLURM executor plugin 2.8.0
# on one node whose cores were busy: 5 to 7, of them 1.4 of processor time for Snakemake.
SNAKEMAKE_SECONDS = 5.5
# Seconds of a stage until its imports are done. Measured: 132 s in the 39 timed jobs of a smoke
# study (results/smoke/timing.csv, two cores). Assumption: no more on a shared file system.
IMPORT_SECONDS = 3.4
# One job each in every study.
SINGLE_JOB_RULES = (
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
# Not submitted: they take seconds, or need a network. (`mixture` needs one where it comes from the
# hub.)
LOCAL_RULES = {*SINGLE_JOB_RULES, "task", "tokenizer", "hub_model"} - {"mixture"}


@dataclass(frozen=True)
class JobGroup:
    """Jobs of one rule with the same estimate; `local` ones are not submitted."""

    rule: str
    number: int
    estimate: ResourceEstimate
    size: str | None = None
    count: int | None = None
    local: bool = False


def plan_jobs(config: dict) -> list[JobGroup]:
    """All jobs of a study, from nothing to its figures."""
    sizes, bases = study.sizes(config), config["bases"]
    scratch = any(study.base_source(config, size) == "scratch" for size in sizes)
    groups = [_group(config, "task", len(study.tasks(config)))]
    groups += [
        _group(config, rule, 1) for rule in SINGLE_JOB_RULES if rule != "mixture" or "it" in bases
    ]
    groups += [_group(config, rule, 1) for rule in ("tokenizer", "corpus") if scratch]
    for size in sizes:
        if study.base_source(config, size) == "hub":
            groups.append(_group(config, "hub_model", 1, size))
        groups.append(_group(config, "pretrained_base", 1, size))
        if "it" in bases:
            groups.append(_group(config, "instruction_tuned_base", 1, size))
        experts = len(bases) * len(study.categories(config))
        groups.append(_group(config, "expert", experts, size))
        if kinds := study.statistics_kinds(config):
            groups.append(_group(config, "expert_statistics", experts * len(kinds), size))
        groups.append(_group(config, "multitask", len(bases), size))
        groups.append(_group(config, "reference_scores", len(bases), size))
        draws = len(bases) * len(config["draws"]["seeds"])
        groups += [
            _group(config, "merge_scores", draws, size, n) for n in config["draws"]["counts"]
        ]
    return groups


def _group(
    config: dict, rule: str, number: int, size: str | None = None, count: int | None = None
) -> JobGroup:
    local = rule in LOCAL_RULES or (rule == "mixture" and config["mixture"]["source"] == "hub")
    return JobGroup(rule, number, estimate(config, rule, size, count), size, count, local)


@dataclass
class Cost:
    """The summed cost of jobs.

    Attributes:
        jobs: their number.
        submissions: to the scheduler; resumed training is submitted again.
        start_up: hours of Snakemake, imports and reading weights.
        work: hours of the rest.
        gpu_hours: hours of start-up and work, times GPUs.
        node_hours: hours of whole nodes, by the larger of a job's shares of GPUs and memory.
        disk: bytes that stay on disk.
    """

    jobs: int = 0
    submissions: int = 0
    start_up: float = 0.0
    work: float = 0.0
    gpu_hours: float = 0.0
    node_hours: float = 0.0
    disk: float = 0.0

    def add(self, group: JobGroup, machine: Machine) -> None:
        """Add the cost of a group of jobs."""
        needed, times = group.estimate, num_submissions(group.estimate, machine)
        nodes = num_nodes(needed, machine)
        starts = times * (SNAKEMAKE_SECONDS + IMPORT_SECONDS + needed.reading) / 3600
        # The first reading is part of the work's estimate.
        work = (needed.seconds - needed.reading) / 3600
        hours, number = starts + work, group.number
        share = max(
            needed.gpus / machine.gpus_per_node / nodes,
            min(1.0, needed.memory / machine.node_memory),
        )
        self.jobs += number
        self.disk += number * needed.disk
        if group.local:
            return
        self.submissions += number * times
        self.start_up += number * starts
        self.work += number * work
        self.gpu_hours += number * hours * needed.gpus
        self.node_hours += number * hours * share * nodes


def sum_costs(config: dict, by: str = "rule") -> dict[str, Cost]:
    """Sum up the cost of a study.

    Args:
        config: the complete configuration.
        by: `rule` or `size`; jobs without a size count in the total only.

    Returns:
        Cost by rule or size, and of all jobs as `total`.
    """
    machine, costs, total = cluster_machine(config), {}, Cost()
    for group in plan_jobs(config):
        total.add(group, machine)
        if (key := getattr(group, by)) is not None:
            costs.setdefault(key, Cost()).add(group, machine)
    return {**costs, "total": total}
