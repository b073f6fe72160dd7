"""Training in several processes: the weights of one, a single writer, failures that end all."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import tiny_study
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from mergescale.cli.main import main
from mergescale.models.loading import save
from mergescale.models.tokenizers import Encoder
from mergescale.tasks.example_files import write_examples
from mergescale.training import distributed, launch, trainer
from mergescale.training.batches import IGNORE, example_stream, local_microbatches
from mergescale.training.config import TrainConfig
from mergescale.training.objectives.answer_loss import compute_loss, label_tokens
from mergescale.training.training_checkpoint import LATEST, TrainingCheckpoint

EXAMPLES = tiny_study.written("copies", "train", 40)
BATCH = example_stream(
    Encoder(tiny_study.tokenizer(), max_length=32),
    EXAMPLES,
    label_tokens=label_tokens,
    batch_size=7,
    seed=3,
)[0]

# 37 words and 16 dimensions are no multiples of 3 either; activations are computed twice.
SHARDED = {"sharding": "always", "micro-batch": 2, "weight-decay": 0.01}
UNTIED = {"base": "untied"}
ADAMW = {"optimizer": "adamw", "learning-rate": 0.002}
MAPPED = Path("/proc/self/maps")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    words = tiny_study.tokenizer()
    save(folder / "base", tiny_study.llama(words=words), words)
    broken = tiny_study.llama(words=words)
    with torch.no_grad():
        broken.lm_head.weight.fill_(math.inf)
    save(folder / "broken", broken, words)
    save(folder / "untied", tiny_study.qwen2().to(torch.bfloat16), words)
    write_examples(folder / "rows.parquet", EXAMPLES)
    return folder


def arguments(inputs, out, **changes):
    settings = {"data": inputs / "rows.parquet", "max-length": 32, "learning-rate": 0.02}
    settings |= {"steps": 25, "batch-size": 7, "warmup": 2, "checkpoint-every": 10, "device": "cpu"}
    settings |= {"base": inputs / "base", "stage": "expert", "out": out}
    settings |= {"checkpoint-dir": f"{out}.checkpoints", "timing": f"{out}.json"} | changes
    words = (word for name, value in settings.items() for word in (f"--{name}", str(value)))
    return ["finetune", *words]


def command(*given, **changes):
    return [sys.executable, "-m", "mergescale", *arguments(*given, **changes)]


def train(*given, **changes):
    return subprocess.run(command(*given, **changes), capture_output=True, text=True)


def trained(inputs, out, **changes):
    """Train in processes of their own; return the folder, the loss and stderr."""
    run = train(inputs, out, **changes)
    assert run.returncode == 0, run.stderr
    return out, loss_of(out), run.stderr


def trained_here(inputs, out, **changes):
    """Train in this process; return the folder and the loss."""
    assert main(arguments(inputs, out, **changes)) == 0
    return out, loss_of(out)


def loss_of(out):
    return json.loads((out / "training.json").read_text())["final_loss"]


def assert_same(one, other, tolerance=1e-5):
    one, other = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(other[name], one[name], atol=tolerance, rtol=tolerance)


# --- micro-batches


@pytest.mark.parametrize("processes, micro_batch", [(1, 2), (2, 0), (2, 3), (3, 2), (9, 0)])
def test_processes_share_all_rows_in_equally_many_microbatches(processes, micro_batch):
    shares = [
        local_microbatches(BATCH, rank=rank, world_size=processes, micro_batch=micro_batch)
        for rank in range(processes)
    ]
    assert len({len(parts) for parts in shares}) == 1
    parts = [part for parts in shares for part in parts]
    assert max(len(part.input_ids) for part in parts) <= (micro_batch or 7)
    rows = [
        tuple(ids[mask.bool()].tolist())
        for part in parts
        if part.num_labels
        for ids, mask in zip(part.input_ids, part.attention_mask, strict=True)
    ]
    whole = zip(BATCH.input_ids, BATCH.attention_mask, strict=True)
    assert sorted(rows) == sorted(tuple(ids[mask.bool()].tolist()) for ids, mask in whole)
    assert sum(part.num_labels for part in parts) == BATCH.num_labels


def test_one_process_without_a_limit_gets_the_batch_itself():
    for limit in (0, 7):
        parts = local_microbatches(BATCH, rank=0, world_size=1, micro_batch=limit)
        assert parts[0] is BATCH


def test_losses_and_gradients_of_microbatches_add_up_to_those_of_the_batch():
    """Dummy batches included."""
    model = tiny_study.llama()
    compute_loss(model, BATCH, BATCH.num_labels).backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    parts = [
        part
        for rank in range(9)
        for part in local_microbatches(BATCH, rank=rank, world_size=9, micro_batch=0)
    ]
    assert [part.num_labels for part in parts].count(0) == 2
    losses = [compute_loss(model, part, BATCH.num_labels) for part in parts]
    sum(losses).backward()
    loss = compute_loss(model, BATCH, BATCH.num_labels).item()
    assert sum(losses).item() == pytest.approx(loss, abs=1e-5)
    for gradient, parameter in zip(expected, model.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-4)


def test_microbatches_are_not_padded_to_the_length_of_others():
    for part in local_microbatches(BATCH, rank=0, world_size=1, micro_batch=1):
        assert part.attention_mask.all()
        assert (part.labels != IGNORE).all()


# --- runs


def test_accumulated_gradients_give_the_same_weights(inputs, tmp_path):
    one, loss = trained_here(inputs, tmp_path / "one")
    parts, again = trained_here(inputs, tmp_path / "parts", **{"micro-batch": 2})
    assert again == pytest.approx(loss, abs=1e-5)
    assert_same(one, parts)


# Neither 7 nor 1 is a multiple of 2: with 1, the second process never has a labeled token.
@pytest.mark.parametrize(
    "processes, changes",
    [
        (2, {}),
        (2, {"micro-batch": 2}),
        (2, {"batch-size": 1}),
        (3, SHARDED),
        (2, UNTIED | SHARDED),
        (2, ADAMW | SHARDED),
    ],
)
def test_weights_and_loss_are_those_of_one_process(inputs, tmp_path, processes, changes):
    if "base" in changes:
        changes = changes | {"base": inputs / changes["base"]}
    one, loss = trained_here(inputs, tmp_path / "one", **changes | {"micro-batch": 0})
    several, again, stderr = trained(inputs, tmp_path / "several", processes=processes, **changes)
    assert (several / "config.json").read_bytes() == (one / "config.json").read_bytes()
    assert_same(one, several)
    assert again == pytest.approx(loss, abs=1e-5)
    assert len(re.findall(r"^1/25 loss", stderr, re.M)) == 1, stderr
    # The main process alone writes: the same files, and no checkpoint is left.
    assert sorted(p.name for p in several.iterdir()) == sorted(p.name for p in one.iterdir())
    written = sorted(p.name for p in tmp_path.iterdir())
    assert written == ["one", "one.json", "several", "several.json"]


def killed(inputs, out, **changes):
    """Start a run, end it and all its processes by SIGKILL after its first checkpoint."""
    with subprocess.Popen(
        command(inputs, out, **changes), stderr=subprocess.PIPE, start_new_session=True
    ) as run:
        latest = out.with_name(f"{out.name}.checkpoints") / LATEST
        while not latest.is_file():
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGKILL)
    assert not (out / "model.safetensors").exists()


@pytest.mark.parametrize("changes", [{}, SHARDED], ids=["copies", "shards"])
def test_a_killed_run_resumes_to_the_same_bits(inputs, tmp_path, changes):
    settings = {"processes": 2, "dropout": 0.3, "steps": 80} | changes
    whole, loss, _ = trained(inputs, tmp_path / "whole", **settings)
    killed(inputs, tmp_path / "killed", **settings)
    resumed, again, stderr = trained(inputs, tmp_path / "killed", **settings)
    assert "resuming from step" in stderr and again == loss
    assert_same(whole, resumed, tolerance=0)


def test_a_run_resumes_with_another_number_of_processes(inputs, tmp_path):
    one, loss = trained_here(inputs, tmp_path / "one", steps=100)
    killed(inputs, tmp_path / "killed", steps=100, processes=2, sharding="always")
    checkpoint_dir = tmp_path / "killed.checkpoints"
    resumed, again = trained_here(inputs, tmp_path / "killed", steps=100)
    assert not checkpoint_dir.exists()
    assert again == pytest.approx(loss, abs=1e-4)
    # Rounding adds up over more steps.
    assert_same(one, resumed, tolerance=1e-4)
    killed(inputs, tmp_path / "other", steps=100)
    resumed, _, stderr = trained(inputs, tmp_path / "other", steps=100, processes=2)
    assert "resuming from step" in stderr
    assert_same(one, resumed, tolerance=1e-4)


def test_a_resumed_run_keeps_no_mapped_file_open(tmp_path):
    """On NFS a mapped file cannot be removed with its folder."""
    model = tiny_study.llama()
    optimizer = torch.optim.Adafactor(model.parameters())
    compute_loss(model, BATCH, BATCH.num_labels).backward()
    optimizer.step()
    here = Accelerator(cpu=True)
    TrainingCheckpoint(here, tmp_path, "it", {"model": model, "optimizer": optimizer}).save(1)
    several = SimpleNamespace(
        num_processes=2, process_index=0, is_main_process=True, device=torch.device("cpu")
    )
    again, before = torch.optim.Adafactor(model.parameters()), optimizer.state_dict()["state"]
    parts = {"model": model, "optimizer": again}
    assert TrainingCheckpoint(several, tmp_path, "it", parts).resume() == 1
    if MAPPED.is_file():
        assert str(tmp_path) not in MAPPED.read_text()
    torch.testing.assert_close(again.state_dict()["state"], before, atol=0, rtol=0)


@pytest.mark.parametrize("world, hours", [(1, None), (2, 12)])
def test_processes_wait_for_the_main_one_for_hours(tmp_path, monkeypatch, world, hours):
    """It may read or write hundreds of GB alone."""
    called = []
    monkeypatch.setattr(trainer, "world_size", lambda: world)
    monkeypatch.setattr(trainer, "Accelerator", lambda **given: called.append(given) or 1 / 0)
    config = TrainConfig(steps=1, batch_size=1, learning_rate=0.1)
    with pytest.raises(ZeroDivisionError):
        trainer.train(
            tiny_study.llama(), [], config, checkpoint_dir=tmp_path, fingerprint="", label=""
        )
    handlers = called[0]["kwargs_handlers"]
    assert (handlers and handlers[0].timeout.total_seconds() / 3600) == hours


# --- failures


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"base": "broken"}, "the training loss is not finite by step 10: lower the"),
        ({"data": "nothing.parquet"}, "nothing.parquet does not exist"),
    ],
)
def test_an_error_of_all_processes_is_printed_once(inputs, tmp_path, monkeypatch, changes, message):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    if "base" in changes:
        changes = {"base": inputs / changes["base"]}
    run = train(inputs, tmp_path / "out", processes=2, **changes)
    assert run.returncode == 1
    printed = [line for line in run.stderr.splitlines() if not re.match(r"\d+/25 loss", line)]
    assert len(printed) == 1 and printed[0].startswith(f"mergescale: error: {message}"), run.stderr
    assert not list(temporary.iterdir())


def test_processes_that_cannot_meet_report_where(inputs, tmp_path, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        endpoint = f"127.0.0.1:{other.getsockname()[1]}"
        monkeypatch.setenv(launch.RENDEZVOUS_ENDPOINT, endpoint)
        run = train(inputs, tmp_path / "out", processes=2)
    assert run.returncode == 1
    expected = f"mergescale: error: the processes could not meet at {endpoint}: "
    assert run.stderr.startswith(expected) and run.stderr.count("\n") == 1, run.stderr


@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_others(inputs, tmp_path, victim):
    out = tmp_path / "out"
    with subprocess.Popen(
        command(inputs, out, processes=2, steps=100_000), stderr=subprocess.PIPE, text=True
    ) as run:
        while not (tmp_path / "out.checkpoints" / LATEST).is_file():
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.02)
        trainers = {
            int(child.environ()["RANK"]): child for child in psutil.Process(run.pid).children()
        }
        trainers[victim].kill()
        stderr = run.stderr.read()
    assert run.returncode == 128 + signal.SIGKILL
    assert f"error: training process {victim} of 2 was ended by SIGKILL" in stderr
    assert stderr.count("mergescale:") == 1 and "Traceback" not in stderr, stderr
    assert not any(child.is_running() for child in trainers.values())
    assert not (out / "model.safetensors").exists()


def test_a_lost_connection_keeps_its_reason(tmp_path, monkeypatch):
    """It may be the only one: if the network fails, all processes report a lost connection."""
    error_file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(error_file))
    monkeypatch.setattr(distributed, "_SECONDS_OF_GRACE", 0)
    assert not distributed.is_peer_failure(RuntimeError("shapes do not fit"))
    assert distributed.is_peer_failure(RuntimeError("NCCL error: no route\nat line 7"))
    message = "the connection to another process was lost (NCCL error: no route)"
    error = json.loads(error_file.read_text())
    assert (error["message"], error["peer_failure"]) == (message, True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills them at once")
def test_processes_end_with_their_launcher(inputs, tmp_path):
    """Otherwise a second run would write the same files beside them."""
    # Few enough steps to be done, and nothing else that would stop them, such as a closed pipe.
    words, log = command(inputs, tmp_path / "out", processes=2, steps=500), tmp_path / "log.txt"
    with log.open("w") as stream, subprocess.Popen(words, stderr=stream) as run:
        while not (tmp_path / "out.checkpoints" / LATEST).is_file():
            assert run.poll() is None, log.read_text()
            time.sleep(0.02)
        trainers = psutil.Process(run.pid).children()
        assert len(trainers) == 2
        run.kill()
    psutil.wait_procs(trainers)
    assert not (tmp_path / "out").exists(), log.read_text()
