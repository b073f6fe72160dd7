"""How many processes train a model, and where they are started."""

from __future__ import annotations

import os
import re
import socket
import sys

import pytest
import torch

from mergescale.training import launch


@pytest.mark.parametrize(
    "asked, there, job, wanted",
    [
        ({"processes": 1}, 0, False, 1),
        ({"processes": 4}, 0, False, 4),
        ({"processes": 4}, 2, False, 1),  # on a GPU: one process for each that was asked for
        ({"gpus": 4}, 8, False, 4),
        ({"gpus": 16, "nodes": 2}, 1, False, 1),  # a local run takes what there is
        ({"gpus": 16, "nodes": 2}, 8, True, 16),
        ({"gpus": 16, "nodes": 2}, 0, True, 16),  # the batch script sees none of them
        ({"gpus": 2}, 0, False, 1),
        ({"gpus": 2, "device": "cpu"}, 8, False, 1),
        ({"processes": 6, "nodes": 3}, 0, True, 6),
        ({"gpus": 4}, 4, True, 4),
        ({"gpus": 1, "device": "cpu"}, 0, True, 1),
    ],
)
def test_how_many_processes_are_started(monkeypatch, asked, there, job, wanted):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv(launch.MEETING, raising=False)
    if job:
        monkeypatch.setenv("SLURM_JOB_ID", "7")
    settings = {"processes": 1, "gpus": 0, "nodes": 1, "device": "auto"} | asked
    assert launch.wanted(**settings) == wanted


@pytest.mark.parametrize(
    "asked, there, on_node, sentence",
    [
        ({"gpus": 4}, 2, False, "2 of the 4 GPUs"),
        ({"gpus": 1}, 0, False, "0 of the 1 GPUs"),
        ({"gpus": 16, "nodes": 2}, 7, True, "7 of the 8 GPUs"),
        ({"nodes": 2}, 0, False, "one process does not use 2 nodes"),
    ],
)
def test_a_job_with_too_few_gpus_or_processes_ends(monkeypatch, asked, there, on_node, sentence):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(launch.MEETING, "here:1")
    if not on_node:
        monkeypatch.delenv(launch.MEETING)
    settings = {"processes": 1, "gpus": 0, "nodes": 1, "device": "auto"} | asked
    with pytest.raises(ValueError, match=f"^{sentence}"):
        launch.wanted(**settings)


@pytest.mark.parametrize("batch", [True, False], ids=["batch script", "login node"])
def test_several_nodes_get_a_task_each_from_srun(monkeypatch, tmp_path, batch):
    called = []
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(
        '#!/bin/sh\n[ "$*" = "show hostnames far[1-2]" ] && printf "far1\\nfar2\\n"\n'
    )
    scontrol.chmod(0o755)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "far[1-2]", "PATH": str(tmp_path)}
    job |= {"SLURMD_NODENAME": "far1", "SLURM_JOB_CPUS_PER_NODE": "8,6(x3)", launch.MEETING: ""}
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    for name in [] if batch else ["SLURMD_NODENAME", "SLURM_JOB_CPUS_PER_NODE"]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(launch.os, "execvp", lambda name, words: called.append(words) or 1 / 0)
    for threads in (1, 12):
        monkeypatch.delenv(launch.MEETING)
        with pytest.raises(ZeroDivisionError):
            arguments = ["finetune", "--steps", "1"]
            launch.launch(arguments, processes=16, gpus=16, nodes=2, threads=threads)
    few, many = called
    assert few[:4] == ["srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1"]
    assert {"--gpus=16", "--kill-on-bad-exit=1", "--wait=0"} <= set(few)
    # A core for each process, where the job has as many.
    assert f"--cpus-per-task={6 if batch else 8}" in few and "--cpus-per-task=12" in many
    assert few[-6:] == [sys.executable, "-m", "mergescale", "finetune", "--steps", "1"]
    host = socket.gethostname() if batch else "far1"
    assert re.fullmatch(rf"{re.escape(host)}:\d+", os.environ[launch.MEETING])


def test_a_job_without_srun_says_so(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(launch.MEETING, "")
    monkeypatch.delenv(launch.MEETING)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OSError, match="srun, which starts training on 2 nodes, is not here"):
        launch.launch(["finetune"], processes=2, gpus=0, nodes=2, threads=1)
