"""A training job over two nodes of one allocation has the weights of a single process."""

from __future__ import annotations

import re
import sys
from contextlib import suppress

import psutil
import pytest
import tiny_study
import torch
from conftest import project_copy, snakemake, succeeded
from machine import until
from runs import HANG_SECONDS, Run, accounted
from safetensors.torch import load_file

from mergescale.models.loading import save
from mergescale.tasks.example_files import write_examples

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

WEIGHTS = "results/tiny/models/40k/pt/model.safetensors"
SHORT = "training: {pretrain: {steps: 60, warmup: 10, checkpoint_every: 20}}\n"
# The rows of a step are not divisible by three.
NODES = "compute: {processes: 2, nodes: 2, micro_batch: 3}\n"


@pytest.fixture(scope="module")
def run(cluster, tmp_path_factory):
    """A finished run in which one job trained a base on two nodes."""
    folder = project_copy(tmp_path_factory.mktemp("nodes") / "project")
    (folder / "short.yaml").write_text(SHORT)
    (folder / "nodes.yaml").write_text(NODES)
    files = ("--configfile", "tests/tiny.yaml", "short.yaml", "nodes.yaml")
    run = Run(folder, WEIGHTS, *files)
    assert run.wait() == 0, run.text
    return run


def test_one_job_gets_both_nodes_and_a_task_on_each(run, cluster):
    jobs = accounted(cluster.run, run.folder, "JobIDRaw,NNodes,State")
    ((job, nodes, state),) = next(
        rows for name, rows in jobs.items() if name.startswith("pretrained_base")
    )
    assert (nodes, state) == ("2", "COMPLETED")
    columns = "--format=JobID,JobName%20,NNodes,NTasks,NodeList"
    steps = cluster.run("sacct", "--noheader", "--parsable2", f"--jobs={job}", columns)
    (training,) = [line for line in steps.splitlines() if "|python" in line]
    _, _, nodes, tasks, names = training.split("|")
    assert (nodes, tasks) == ("2", "2") and names.startswith("cpu["), steps


def test_weights_are_those_of_one_process(run, tmp_path):
    local = project_copy(tmp_path / "project")
    (local / "short.yaml").write_text(SHORT)
    files = ("--configfile", "tests/tiny.yaml", "short.yaml")
    succeeded(snakemake(local, WEIGHTS, "--cores", "1", *files))
    one, two = (load_file(folder / WEIGHTS) for folder in (local, run.folder))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=1e-5, rtol=1e-5)


@pytest.fixture
def submitted(cluster, tmp_path):
    """Submits a training job over two nodes; returns its number and its output file."""
    words = tiny_study.tokenizer()
    save(tmp_path / "base", tiny_study.llama(words=words), words)
    write_examples(tmp_path / "rows.parquet", tiny_study.written("copies", "train", 40))
    output = tmp_path / "output.txt"

    def submit(data: str) -> tuple[str, object]:
        command = (
            f"{sys.executable} -m mergescale finetune --base base --data {data} --stage expert"
            " --out out --checkpoint-dir checkpoints --steps 100000 --batch-size 8"
            " --learning-rate 0.01 --max-length 32 --checkpoint-every 10 --device cpu"
            " --processes 2 --nodes 2"
        )
        job = cluster.run(
            *("sbatch", "--parsable", "--nodes=2", "--ntasks=2", "--mem=2000", "-A", "lab"),
            *("--output", str(output), "-D", str(tmp_path), f"--wrap={command}"),
        )
        return job.strip(), output

    return submit


def ended(cluster, job: str) -> str:
    """Wait until a job has ended; returns its state."""
    states: list[str] = []

    def over() -> bool:
        states[:] = cluster.run("squeue", "-h", "-o", "%T", "-t", "all", "-j", job).split()
        return bool(states) and states[0] not in ("PENDING", "RUNNING", "COMPLETING")

    assert until(over, HANG_SECONDS), states
    return states[0]


def test_an_error_on_all_nodes_is_reported_once(cluster, submitted):
    job, output = submitted("nothing.parquet")
    assert ended(cluster, job) == "FAILED"
    assert re.findall("^mergescale.*", output.read_text(), re.M) == [
        "mergescale: error: nothing.parquet does not exist"
    ]


def test_a_process_that_dies_on_one_node_ends_the_job(cluster, submitted, tmp_path):
    job, output = submitted("rows.parquet")
    assert until((tmp_path / "checkpoints" / "latest.json").is_file, HANG_SECONDS)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            if (environment.get("SLURM_JOB_ID"), environment.get("RANK")) == (job, "1"):
                process.kill()
    assert ended(cluster, job) == "FAILED"
    text = output.read_text()
    assert text.count("mergescale: error:") == 1 and "Traceback" not in text, text
    assert "training process 1 of 2 was ended by SIGKILL" in text
