"""What jobs request: more for larger models, draws and attempts, little for tiny models."""

from __future__ import annotations

import itertools
import subprocess
import sys
from types import SimpleNamespace

import pytest
import tiny_study
from conftest import ROOT, snakemake, succeeded

from mergescale import config as study_config
from mergescale.config import model_sizes
from mergescale_snakemake import job_resources, resource_formulas
from mergescale_snakemake.cost_page import sbatch_call
from mergescale_snakemake.cost_plan import plan_jobs
from mergescale_snakemake.machine import (
    GB,
    Machine,
    ResourceEstimate,
    num_submissions,
    scheduler_request,
)
from mergescale_snakemake.resource_formulas import ModelShape, training

DEFAULT = ROOT / "config" / "config.yaml"
PAPER = ROOT / "config" / "paper.yaml"
RULES = ["pretrained_base", "instruction_tuned_base", "expert", "multitask", "reference_scores"]
RULES += ["expert_statistics"]
KINDS = [*((rule, None) for rule in RULES), ("merge_scores", 2), ("merged_model", 2)]
MACHINE = Machine()


@pytest.fixture(scope="module")
def paper():
    return study_config.load(DEFAULT, PAPER)


@pytest.mark.parametrize("rule, count", KINDS)
def test_larger_models_request_no_less(paper, rule, count):
    requested = [
        job_resources.request(paper, rule, size, count) for size in study_config.sizes(paper)
    ]
    for one, larger in itertools.pairwise(requested):
        assert all(one[name] <= larger[name] for name in one)
        assert one["runtime"] < larger["runtime"] or one["runtime"] == 48 * 60


def test_a_merged_model_of_any_size_takes_the_same_memory(paper):
    sizes = study_config.sizes(paper)
    requested = [job_resources.request(paper, "merged_model", size, 8) for size in sizes]
    assert len({one["mem_mb"] for one in requested}) == 1
    assert {one["gpu"] for one in requested} == {0}


def test_more_experts_need_more_memory_until_they_are_streamed(paper):
    memory = {
        n: job_resources.request(paper, "merge_scores", "7B", n)["mem_mb"] for n in (2, 4, 6, 8)
    }
    assert sorted(memory.values()) == list(memory.values()) and memory[2] < memory[8]
    estimates = [job_resources.estimate(paper, "merge_scores", "32B", n) for n in (2, 8)]
    assert (
        estimates[1].memory < estimates[0].memory < job_resources.cluster_machine(paper).node_memory
    )
    assert estimates[1].seconds > estimates[0].seconds


def test_no_job_of_the_paper_requests_more_than_a_node_has(paper):
    machine = job_resources.cluster_machine(paper)
    for group in plan_jobs(paper):
        for attempt in (1, 2, 3, 4):
            requested = scheduler_request(group.estimate, machine, attempt)
            assert requested["mem_mb"] * 1e6 <= machine.node_memory, group
            assert requested["gpu"] <= machine.gpus_per_node * requested["nodes"]
            assert requested["runtime"] <= machine.max_hours * 60


@pytest.mark.parametrize("study", ["config.yaml", "smoke.yaml"])
def test_tiny_models_request_little_and_no_gpu(study):
    config = study_config.load(DEFAULT, ROOT / "config" / study)
    for group in plan_jobs(config):
        requested = job_resources.request(config, group.rule, group.size, group.count)
        # A job carries torch and two Snakemakes, whatever its model.
        assert 1000 <= requested["mem_mb"] <= 1100 and requested["runtime"] <= 60, group
        assert requested["gpu"] == 0 and requested["nodes"] == 1


def test_memory_and_time_grow_with_the_attempt_up_to_the_nodes_limits():
    estimate = ResourceEstimate(memory=300 * GB, seconds=8 * 3600, gpus=4)
    requested = [scheduler_request(estimate, MACHINE, attempt) for attempt in (1, 2, 3, 4, 5)]
    assert [one["mem_mb"] for one in requested] == [300_000, 450_000, 675_000, 1_000_000, 1_000_000]
    assert [one["runtime"] for one in requested] == [970, 1940, 2880, 2880, 2880]
    assert {one["gpu"] for one in requested} == {4}


def test_memory_that_no_node_has_is_requested_all_the_same():
    """The scheduler then refuses the job instead of killing it later."""
    assert (
        scheduler_request(ResourceEstimate(memory=1500 * GB, seconds=60), MACHINE)["mem_mb"]
        == 1_500_000
    )


@pytest.mark.parametrize(
    "bytes_, gpus",
    [(1, 1), (72 * GB, 1), (73 * GB, 2), (200 * GB, 4), (576 * GB, 8), (577 * GB, 16)],
)
def test_gpus_are_powers_of_two_and_then_whole_nodes(bytes_, gpus):
    assert MACHINE.num_gpus_for(bytes_) == gpus


def test_gpus_follow_the_machine(paper):
    larger = {**paper["compute"], "cluster": {**paper["compute"]["cluster"], "gpu_memory": 141}}
    requested = job_resources.request({**paper, "compute": larger}, "expert", "72B")
    assert (requested["gpu"], requested["nodes"]) == (8, 1)
    on_cpus = job_resources.request(
        {**paper, "compute": {**larger, "device": "cpu"}}, "expert", "72B"
    )
    assert on_cpus["gpu"] == 0


def test_training_on_several_cpu_nodes_requests_a_task_on_each():
    config = study_config.load(DEFAULT)
    several = {**config, "compute": {**config["compute"], "processes": 4, "nodes": 2}}
    requested = job_resources.request(several, "expert", "500k")
    one = job_resources.request(config, "expert", "500k")
    assert {name: requested[name] for name in requested.keys() - one.keys()} == {
        "mpi": "srun",
        "tasks": 2,
        "tasks_per_gpu": 0,
    }
    assert requested["nodes"] == 2 and 2000 <= requested["mem_mb"] < 2 * one["mem_mb"] + 100
    assert "--nodes=2 --ntasks=2 --cpus-per-task=2" in sbatch_call(requested, 2)
    # Other jobs are unchanged.
    assert job_resources.request(several, "corpus") == job_resources.request(config, "corpus")
    assert job_resources.request(several, "merge_scores", "500k", 2)["nodes"] == 1


def test_micro_batch_bounds_the_memory_of_activations():
    """Without a bound a GPU works on its share of a step, so more GPUs need less on each."""

    def gpus(batch_size, micro_batch, length=2048):
        settings = {"batch_size": batch_size, "micro_batch": micro_batch, "length": length}
        settings |= {"steps": 1, "answer": length // 4, "checkpoint_every": 0}
        return training(ModelShape.from_parameters(7e9), MACHINE, **settings).gpus

    assert [gpus(batch_size, 1) for batch_size in (8, 64, 256)] == [1, 1, 1]
    assert [gpus(batch_size, 0) for batch_size in (8, 64, 256)] == [2, 4, 8]


def test_long_training_is_submitted_again_and_other_jobs_once():
    resumed = ResourceEstimate(memory=GB, seconds=100 * 3600, resumes=True)
    assert num_submissions(resumed, MACHINE) == 3
    assert num_submissions(ResourceEstimate(memory=GB, seconds=100 * 3600), MACHINE) == 1


def test_parameters_from_scratch_are_those_of_the_model(monkeypatch):
    config, words = study_config.load(DEFAULT), tiny_study.tokenizer()
    monkeypatch.setattr(model_sizes, "MICRO_WORLD_WORDS", len(words))
    for size in study_config.sizes(config):
        shape = config["models"]["sizes"][size]
        model = tiny_study.initialize(words, max_length=96, seed=0, **shape)
        counted = sum(parameter.numel() for parameter in model.parameters())
        assert job_resources.model_shape(config, size).parameters == counted


def test_parameters_of_a_checkpoint_are_read_from_its_headers(tmp_path, overlay):
    words = tiny_study.tokenizer()
    model = tiny_study.llama(words=words)
    tiny_study.save(tmp_path / "model", model, words)
    config = overlay(f"models: {{sizes: {{own: {{checkpoint: {tmp_path / 'model'}}}}}}}")
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert job_resources.model_shape(config, "own").parameters == counted
    declared = overlay(
        f"models: {{sizes: {{own: {{checkpoint: {tmp_path / 'model'}, parameters: 5e9}}}}}}"
    )
    assert job_resources.model_shape(declared, "own").parameters == 5e9


def test_unreadable_weights_are_reported_by_the_stage_that_reads_them(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 2000)
    assert model_sizes.count_stored_parameters(str(tmp_path)) == 1000
    assert model_sizes.count_stored_parameters(str(tmp_path / "nowhere")) == 1


@pytest.mark.parametrize(
    "parameters, layers, width",
    [(1.54e9, 28, 1536), (7.62e9, 28, 3584), (32.8e9, 64, 5120), (72.7e9, 80, 8192)],
)
def test_the_shape_of_a_hub_model_is_estimated_well_enough(parameters, layers, width):
    """Activations depend on layers times width (from each model's config.json on the hub)."""
    estimated = ModelShape.from_parameters(parameters)
    assert estimated.layers * estimated.width == pytest.approx(layers * width, rel=0.6)


def test_every_rule_of_the_workflow_has_a_formula():
    rules = (ROOT / "workflow" / "rules").glob("*.smk")
    text = "\n".join(path.read_text(encoding="utf-8") for path in rules)
    named = [line.removesuffix(":").split()[1] for line in text.splitlines() if line[:5] == "rule "]
    config = study_config.load(DEFAULT)
    sized = {"hub_model", "expert_statistics", "merged_model", "merge_scores", "reference_scores"}
    sized |= job_resources.TRAINING_STAGES.keys()
    for rule in named:
        assert f'**job_resources("{rule}")' in text, rule
        size, count = ("500k", 2) if rule in sized else (None, None)
        assert job_resources.request(config, rule, size, count)["mem_mb"] >= 1000


def test_statistics_of_experts_are_part_of_a_studys_cost():
    config = study_config.load(DEFAULT)
    config["merging"]["methods"]["fisher"] = {}
    assert {"expert_statistics"} == {group.rule for group in plan_jobs(config)} - {
        group.rule for group in plan_jobs(study_config.load(DEFAULT))
    }
    estimate = job_resources.estimate(config, "expert_statistics", "500k")
    assert estimate.gpus == 0 and 0 < estimate.seconds < 3600


def test_statistics_rows_are_those_of_the_stage():
    from mergescale.stages.expert_statistics import Arguments

    assert resource_formulas.STATISTICS_ROWS == Arguments.__dataclass_fields__["rows"].default


def test_formulas_import_nothing_heavy():
    program = (
        "import sys, mergescale_snakemake.cost_page;"
        "print({'torch', 'numpy', 'pandas', 'transformers'} & set(sys.modules) or 'light')"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "light", run.stderr


SNAKEFILE = """
rule all:
    input: expand("{name}.done", name=["a", "b"])
rule job:
    output: "{name}.done"
    params: other=lambda w: "b" if w.name == "a" else "a"
    resources: mem_mb=873400, disk_mb=10**6, runtime=2880, gpu=16, nodes=2
    shell:
        "touch {wildcards.name}.begun; for second in $(seq 60); do"
        " [ -e {params.other}.begun ] && touch {output} && exit; sleep 1; done; exit 1"
"""


def test_local_runs_ignore_what_jobs_request(tmp_path):
    """Each job waits for the other one: both must run at once."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    succeeded(snakemake(tmp_path, "--cores", "2", "--scheduler", "greedy"))


# The sbatch calls.


class Resources(SimpleNamespace):
    """A job's resources, by attribute and by name, as Snakemake has them."""

    def get(self, name, default=None):
        return getattr(self, name, default)


CPU_KIND = ("expert", None, {"device": "cpu", "processes": 4, "nodes": 2})


@pytest.mark.parametrize("rule, count, compute", [*((*kind, {}) for kind in KINDS), CPU_KIND])
def test_calls_are_those_of_the_executor_plugin(paper, rule, count, compute):
    plugin = pytest.importorskip(
        "snakemake_executor_plugin_slurm.submit_string",
        reason="snakemake-executor-plugin-slurm is not installed",
    )
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    config = {**paper, "compute": {**paper["compute"], **compute}}
    requested = job_resources.request(config, rule, "72B", count)
    job = SimpleNamespace(resources=Resources(**requested), threads=8)
    names = {"run_uuid": "RUN", "slurm_logfile": "LOG", "comment_str": "JOB", "workdir": "FOLDER"}
    names |= {"account": "-A ACCOUNT", "partition": "-p PARTITION"}
    call = plugin.get_submit_command(job, names) + set_gres_string(job)
    written = sbatch_call(requested, 8)
    for name in ("run", "log", "job", "folder", "account", "partition"):
        written = written.replace(f"<{name}>", name.upper())
    assert call == written
