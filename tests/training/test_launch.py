"""How many processes train a model, and on which nodes they are started."""

from __future__ import annotations

import os
import re
import socket
import sys

import pytest
import torch

from mergescale.training import launch
from mergescale.training.compute_plan import TrainingCompute


@pytest.mark.parametrize(
    "requested, visible, in_job, expected",
    [
        ({"processes": 1}, 0, False, 1),
        ({"processes": 4}, 0, False, 4),
        ({"processes": 4}, 2, False, 1),  # on a GPU: one process for each that is requested
        ({"gpus": 4}, 8, False, 4),
        ({"gpus": 16, "nodes": 2}, 1, False, 1),  # a local run takes what is there
        ({"gpus": 16, "nodes": 2}, 8, True, 16),
        ({"gpus": 16, "nodes": 2}, 0, True, 16),  # the batch script sees none of them
        ({"gpus": 2}, 0, False, 1),
        ({"gpus": 2, "device": "cpu"}, 8, False, 1),
        ({"processes": 6, "nodes": 3}, 0, True, 6),
        ({"gpus": 4}, 4, True, 4),
        ({"gpus": 1, "device": "cpu"}, 0, True, 1),
    ],
)
def test_a_process_for_each_gpu_or_as_many_as_requested(
    monkeypatch, requested, visible, in_job, expected
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv(launch.RENDEZVOUS_ENDPOINT, raising=False)
    if in_job:
        monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert launch.count_processes(TrainingCompute(**requested)) == expected


@pytest.mark.parametrize(
    "requested, visible, on_node, message",
    [
        ({"gpus": 4}, 2, False, "2 of the 4 GPUs"),
        ({"gpus": 1}, 0, False, "0 of the 1 GPUs"),
        ({"gpus": 16, "nodes": 2}, 7, True, "7 of the 8 GPUs"),
        ({"nodes": 2}, 0, False, "one process does not use 2 nodes"),
    ],
)
def test_a_job_with_too_few_gpus_or_processes_is_refused(
    monkeypatch, requested, visible, on_node, message
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(launch.RENDEZVOUS_ENDPOINT, "here:1")
    if not on_node:
        monkeypatch.delenv(launch.RENDEZVOUS_ENDPOINT)
    with pytest.raises(ValueError, match=f"^{message}"):
        launch.count_processes(TrainingCompute(**requested))


@pytest.mark.parametrize("batch", [True, False], ids=["batch script", "login node"])
def test_several_nodes_get_a_task_each_from_srun(monkeypatch, tmp_path, batch):
    called = []
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(
        '#!/bin/sh\n[ "$*" = "show hostnames far[1-2]" ] && printf "far1\\nfar2\\n"\n'
    )
    scontrol.chmod(0o755)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "far[1-2]", "PATH": str(tmp_path)}
    job |= {
        "SLURMD_NODENAME": "far1",
        "SLURM_JOB_CPUS_PER_NODE": "8,6(x3)",
        launch.RENDEZVOUS_ENDPOINT: "",
    }
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    for name in [] if batch else ["SLURMD_NODENAME", "SLURM_JOB_CPUS_PER_NODE"]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(launch.os, "execvp", lambda name, words: called.append(words) or 1 / 0)
    for threads in (1, 12):
        monkeypatch.delenv(launch.RENDEZVOUS_ENDPOINT)
        with pytest.raises(ZeroDivisionError):
            arguments = ["finetune", "--steps", "1"]
            launch.launch(arguments, TrainingCompute(threads=threads, gpus=16, nodes=2), 16)
    few, many = called
    assert few[:4] == ["srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1"]
    assert {"--gpus=16", "--kill-on-bad-exit=1", "--wait=0"} <= set(few)
    # A core for each process, if the job has as many.
    assert f"--cpus-per-task={6 if batch else 8}" in few and "--cpus-per-task=12" in many
    assert few[-6:] == [sys.executable, "-m", "mergescale", "finetune", "--steps", "1"]
    host = socket.gethostname() if batch else "far1"
    assert re.fullmatch(rf"{re.escape(host)}:\d+", os.environ[launch.RENDEZVOUS_ENDPOINT])


def test_a_missing_srun_is_reported(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(launch.RENDEZVOUS_ENDPOINT, "")
    monkeypatch.delenv(launch.RENDEZVOUS_ENDPOINT)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OSError, match="srun, which starts training on 2 nodes, was not found"):
        launch.launch(["finetune"], TrainingCompute(processes=2, nodes=2), 2)
