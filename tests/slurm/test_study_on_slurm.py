"""A study from nothing through the cluster profile: the local run's numbers, on the fake GPUs."""

from __future__ import annotations

import os
from datetime import datetime

import pytest
from conftest import project_copy
from runs import Run, accounted

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

# tests/tiny.yaml by default; MERGESCALE_TEST_STUDY=smoke for the smoke study.
STUDY = os.environ.get("MERGESCALE_TEST_STUDY", "tiny")
OVERLAY = {"tiny": "tests/tiny.yaml", "smoke": "config/smoke.yaml"}[STUDY]
GPU_RULES = (
    *("pretrained_base", "instruction_tuned_base", "expert", "multitask", "reference_scores"),
    *("pretrained_base_of_largest", "instruction_tuned_base_of_largest"),
)
CPU_RULES = ("corpus", "mixture", "merge_scores")


@pytest.fixture(scope="module")
def run(cluster, tmp_path_factory):
    """A finished run of the study in which training and scoring ask for a GPU each."""
    folder = project_copy(tmp_path_factory.mktemp("slurm") / "project")
    gpus = [f"{rule}:gpu=1" for rule in GPU_RULES]
    run = Run(folder, "--configfile", OVERLAY, "--set-resources", *gpus)
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


def test_scores_are_those_of_the_local_run(run, request):
    local = request.getfixturevalue(f"{STUDY}_study" + ("_run" if STUDY == "tiny" else ""))
    for name in ("scores.csv", "normalised.csv", "performance.csv", "tables/table1.csv"):
        here, there = (folder / "results" / STUDY / name for folder in (run.folder, local))
        assert here.read_bytes() == there.read_bytes(), name


def test_figures_tables_and_the_report_are_there(run):
    results = run.folder / "results" / STUDY
    assert (results / "figures" / "figure3.pdf").read_bytes().startswith(b"%PDF-")
    assert (results / "tables" / "table4.tex").is_file() and (results / "report.html").is_file()


def test_jobs_go_where_their_resources_are(jobs):
    assert jobs.keys() <= {*GPU_RULES, *CPU_RULES}, "what takes seconds is not submitted"
    for rule, rows in jobs.items():
        for partition, resources, *_ in rows:
            gpus = [entry for entry in resources.split(",") if entry.startswith("gres/gpu")]
            wanted = ("gpu", ["gres/gpu=1"]) if rule in GPU_RULES else ("cpu", [])
            assert (partition, gpus) == wanted, rule


def test_a_gpu_is_one_jobs_at_a_time(jobs):
    """There are two a100; more jobs than that were ready at the same time."""
    spans = [
        (datetime.fromisoformat(start), datetime.fromisoformat(end))
        for rule in GPU_RULES
        for _, _, start, end in jobs.get(rule, [])
    ]
    assert len(spans) > 4
    for start, _ in spans:
        assert sum(first <= start < last for first, last in spans) <= 2
