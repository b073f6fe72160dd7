"""A study from nothing with the cluster profile has the numbers of a local run."""

from __future__ import annotations

from datetime import datetime

import pytest
from runs import accounted
from scenarios import CPU_RULES, GPU_RULES, STUDY, study

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture(scope="module")
def run(after):
    """A finished run of the study in which training and scoring jobs request a GPU."""
    run = after.of(study)
    assert run.wait() == 0, run.text
    return run


@pytest.fixture(scope="module")
def jobs(run, cluster):
    """sacct's rows of the run's jobs, by rule: partition, resources, start, end."""
    columns = "Partition,AllocTRES%60,Start,End"
    rows: dict[str, list[list[str]]] = {}
    for name, found in accounted(cluster.run, run.folder, columns).items():
        rows.setdefault(name.split()[0], []).extend(found)
    return rows


def test_scores_equal_those_of_the_local_run(run, after):
    local = after.local.result()
    for name in ("scores.csv", "normalized.csv", "performance.csv", "tables/table1.csv"):
        on_slurm, on_this_machine = (
            folder / "results" / STUDY / name for folder in (run.folder, local)
        )
        assert on_slurm.read_bytes() == on_this_machine.read_bytes(), name


def test_figures_tables_and_the_report_exist(run):
    results = run.folder / "results" / STUDY
    assert (results / "figures" / "figure3.pdf").read_bytes().startswith(b"%PDF-")
    assert (results / "tables" / "table4.tex").is_file() and (results / "report.html").is_file()


def test_jobs_go_to_the_partition_with_their_resources(jobs):
    assert jobs.keys() <= {*GPU_RULES, *CPU_RULES}, "rules that take seconds are not submitted"
    for rule, rows in jobs.items():
        for partition, resources, *_ in rows:
            gpus = [entry for entry in resources.split(",") if entry.startswith("gres/gpu")]
            expected = ("gpu", ["gres/gpu=1"]) if rule in GPU_RULES else ("cpu", [])
            assert (partition, gpus) == expected, rule


def test_a_gpu_has_one_job_at_a_time(jobs):
    """There are two a100; more jobs than that were ready at the same time."""
    spans = [
        (datetime.fromisoformat(start), datetime.fromisoformat(end))
        for rule in GPU_RULES
        for _, _, start, end in jobs.get(rule, [])
    ]
    assert len(spans) > 4
    for start, _ in spans:
        assert sum(first <= start < last for first, last in spans) <= 2
