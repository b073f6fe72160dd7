"""config/paper.yaml: the paper's study on models of the hub, as a dry run sees it."""

from __future__ import annotations

import re
import resource

import pytest
from conftest import ROOT, job_counts, project_copy, snakemake, succeeded

from mergescale import config as study_config
from mergescale_snakemake import cost_plan as plan

PAPER = ("--configfile", "config/paper.yaml")
# Of processor time, which other work on the machine does not add to. Measured: 3 s.
SECONDS = 10


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return project_copy(tmp_path_factory.mktemp("paper") / "project")


@pytest.fixture(scope="module")
def dry_run(project):
    """What Snakemake would do, and the processor seconds that it took to say so."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # With -p, Snakemake lists the files and resources of each job.
    output = succeeded(snakemake(project, "-n", "-p", *PAPER))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return output, seconds


@pytest.fixture(scope="module")
def config():
    return study_config.load(ROOT / "config" / "config.yaml", ROOT / "config" / "paper.yaml")


def test_the_dry_run_has_the_papers_jobs(dry_run):
    assert job_counts(dry_run[0]) == {
        "task": 23,
        "task_table": 1,
        "mixture": 1,
        "hub_model": 4,
        "pretrained_base": 4,
        "instruction_tuned_base": 4,
        "expert": 64,
        "multitask": 8,
        "draws": 1,
        "reference_scores": 8,
        "merge_scores": 96,
        "scores": 1,
        "performance": 1,
        "figures": 1,
        "tables": 1,
        "timing": 1,
        "report": 1,
        "study_record": 1,
    }


def test_each_job_of_a_draw_makes_the_merges_of_all_methods(dry_run):
    lines = re.findall(r"^    output: (.+)$", dry_run[0], flags=re.M)
    files = [file for line in lines for file in line.split(", ")]
    merges = [file for file in files if re.search(r"/scores/.*/merges/.*\.json$", file)]
    assert len(merges) == len(set(merges)) == 384
    jobs = [line for line in lines if re.search(r"/scores/\S*/merges/", line)]
    assert len(jobs) == 96
    assert all(len(re.findall(r"/merges/\S*\.json", line)) == 4 for line in jobs)


def test_the_dry_run_is_quick(dry_run):
    assert dry_run[1] < SECONDS


def test_the_plan_counts_what_snakemake_counts(dry_run, config):
    counts: dict[str, int] = {}
    for group in plan.plan_jobs(config):
        counts[group.rule] = counts.get(group.rule, 0) + group.number
    assert counts == job_counts(dry_run[0])


def test_resources_are_those_of_the_formulas(dry_run):
    jobs = dict(re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", dry_run[0], flags=re.M))
    largest = jobs["pretrained_base_of_largest"]
    assert "gpu=0" in largest and "mem_mb=9000" in largest
    found = re.findall(r"^rule expert:\n((?:    .*\n)+)", dry_run[0], flags=re.M)
    gpus = {
        re.search(r"size=(\S+?)[,\n]", job)[1]: int(re.search(r"gpu=(\d+)", job)[1])
        for job in found
    }
    assert gpus == {"1.5B": 1, "7B": 2, "32B": 8, "72B": 16}


def test_what_needs_a_network_or_takes_seconds_is_not_submitted(tmp_path):
    """And the plan counts it so."""
    folder = project_copy(tmp_path / "project")
    with open(folder / "Snakefile", "a", encoding="utf-8") as snakefile:
        snakefile.write("\nprint('local:', *sorted(workflow._localrules))\n")
    for study, files in (("default", []), ("paper", ["config/paper.yaml"])):
        configuration = ["--configfile", *files] if files else []
        target = f"results/{study}/draws.csv"
        output = succeeded(snakemake(folder, "-n", target, *configuration))
        local = set(re.search(r"^local: (.*)$", output, flags=re.M)[1].split()) - {"all"}
        config = study_config.load(*(ROOT / f for f in ("config/config.yaml", *files)))
        planned = {group.rule for group in plan.plan_jobs(config) if group.local}
        assert planned == local & {group.rule for group in plan.plan_jobs(config)}
    assert {"hub_model", "task", "mixture"} <= local


def test_settings_are_the_papers(config):
    assert study_config.methods(config) == ["averaging", "task_arithmetic", "ties", "dare_ties"]
    assert config["draws"] == {"counts": [2, 4, 6, 8], "seeds": [1, 2, 3]}
    assert config["merging"]["lambdas"] == [step / 10 for step in range(11)]
    assert config["merging"]["methods"]["ties"]["density"] == [0.2, 0.1]
    assert config["models"]["max_length"] == 2048 + config["evaluation"]["max_new_tokens"] == 2560
    rates = {
        size: study_config.stage_settings(config, "instruct", size)["learning_rate"]
        for size in study_config.sizes(config)
    }
    assert rates == {"1.5B": 1e-4, "7B": 3e-5, "32B": 1e-4, "72B": 1e-4}
    for size in study_config.sizes(config):
        instruct, expert = (
            study_config.stage_settings(config, s, size) for s in ("instruct", "expert")
        )
        assert (instruct["steps"], expert["steps"]) == (60_000, 2_000)
        assert expert["learning_rate"] == 3e-5
        assert instruct["dropout"] == expert["dropout"] == 0.05


def test_every_model_is_pinned_to_a_commit(config):
    for size, settings in config["models"]["sizes"].items():
        assert re.fullmatch(r"[0-9a-f]{40}", settings["revision"]), size
        # The name says how many billions.
        assert settings["parameters"] / 1e9 == pytest.approx(float(size[:-1]), rel=0.1)
    assert len(
        {settings["hub"].partition("-")[0] for settings in config["models"]["sizes"].values()}
    )


def test_another_revision_fetches_that_model_again(project):
    """The commit is a parameter of the rule."""
    (project / "more.yaml").write_text("models: {sizes: {7B: {revision: abc}}}")
    output = succeeded(
        snakemake(project, "-n", "-p", "results/paper/hub/7B/hub.json", *PAPER, "more.yaml")
    )
    assert "--repo Qwen/Qwen2.5-7B --revision abc" in output
