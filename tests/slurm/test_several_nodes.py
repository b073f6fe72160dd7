"""A training job over two nodes from one allocation: the weights of a single process."""

from __future__ import annotations

import pytest
import torch
from conftest import project_copy, snakemake, succeeded
from runs import Run, accounted
from safetensors.torch import load_file

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

WEIGHTS = "results/tiny/models/40k/pt/model.safetensors"
SHORT = "training: {pretrain: {steps: 60, warmup: 10, checkpoint_every: 20}}\n"
# Rows of a step do not divide by three.
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
    assert (nodes, tasks) == ("2", "2") and names.startswith("cpu[") and "," in names, steps


def test_weights_are_those_of_one_process(run, tmp_path):
    local = project_copy(tmp_path / "project")
    (local / "short.yaml").write_text(SHORT)
    files = ("--configfile", "tests/tiny.yaml", "short.yaml")
    succeeded(snakemake(local, WEIGHTS, "--cores", "1", *files))
    one, two = (load_file(folder / WEIGHTS) for folder in (local, run.folder))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=1e-5, rtol=1e-5)
