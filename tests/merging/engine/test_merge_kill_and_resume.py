"""A merge that is killed at any moment leaves nothing incomplete, and resumes to the same bytes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import save_file

from mergescale.cli.main import main
from mergescale.merging.engine import journal

KILLS = 10
# The command with small blocks, frequent commits and slow writes, so that kills find it at work. It
# receives Ctrl-C even where the tests run in the background of a shell, which makes children deaf.
SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from mergescale.cli.main import main
from mergescale.merging.engine import journal
from mergescale.merging.engine import memory
from mergescale.checkpoints.writer import CheckpointWriter
journal._SECONDS_BETWEEN_COMMITS = 0.001
memory.WORKING_BYTES = {"cpu": 0}
write = CheckpointWriter.write
def slow(self, *arguments, **more):
    time.sleep(0.01)
    return write(self, *arguments, **more)
CheckpointWriter.write = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A base and three experts of 1.5 M entries: about 25 of the smallest blocks."""
    folder = tmp_path_factory.mktemp("models")
    generator = torch.Generator().manual_seed(0)
    shapes = {"a": (900, 1000), "b": (600, 1000), "c": (7,)}
    base = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    for name in ("base", "one", "two", "three"):
        noise = 0 if name == "base" else 0.01
        (folder / name).mkdir()
        weights = {
            key: value + noise * torch.randn(value.shape, generator=generator)
            for key, value in base.items()
        }
        save_file(weights, folder / name / "model.safetensors")
        (folder / name / "config.json").write_text("{}")
    recipe = {
        "base": "base",
        "experts": {name: name for name in ("one", "two", "three")},
        "merges": {
            "ties": {"method": "ties", "density": 0.2, "lambda": 0.5},
            "dare": {"method": "dare_ties", "density": 0.1, "lambda": 1, "seed": 3},
        },
        "dtype": "bfloat16",
        "shard_size": "1MB",
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    return folder


@pytest.fixture(scope="module")
def whole(models, tmp_path_factory):
    """What a merge that nobody stops writes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    subprocess.run(command(models, out), check=True, capture_output=True)
    return out


def command(models, out, *more):
    return [
        *(sys.executable, "-c", SLOW, "merge", str(models / "recipe.yaml"), str(out)),
        *("--threads", "1", "--memory-limit", "2GB", "--cache-dir", str(models / "cache"), *more),
    ]


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def committed(out):
    """How many blocks the merge has committed as done."""
    marks = list(out.glob(".*.partial/journal.json"))
    return max((json.loads(mark.read_text())["done"] for mark in marks), default=0)


def wait_for_commits(process, out, blocks):
    """Wait until so many more blocks are committed; 0 does not wait at all."""
    wanted = committed(out) + blocks
    while blocks and committed(out) < wanted and process.poll() is None:
        time.sleep(0.005)


def test_kills_leave_nothing_half_written_and_the_end_is_the_same(models, whole, tmp_path):
    out, rng, resumed, killed = tmp_path / "out", random.Random(1), 0, 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            command(models, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_commits(process, out, rng.randint(0, 12))
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        for name in ("ties", "dare"):
            # A folder under its final name is whole, even if the other one is not there yet.
            if (out / name).exists():
                assert contents(out / name) == contents(whole / name)
        resumed += committed(out) > 0
        if (out / "dare").exists():  # it had finished: start again
            shutil.rmtree(out)
    end = subprocess.run(command(models, out), capture_output=True, text=True)
    assert end.returncode == 0, end.stderr
    assert contents(out) == contents(whole)
    assert killed > 1 and resumed > 1, "no kill found the merge at work"
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_merge_says_so_and_resumes(models, whole, tmp_path, stop, status):
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(models, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_commits(process, out, 3)
    process.send_signal(stop)
    printed, said = process.communicate()
    assert process.returncode == status, said
    assert said.splitlines()[-1] == "mergescale: stopped; run the same command again to resume"
    assert "Traceback" not in said and not printed
    assert committed(out) and not (out / "ties").exists() and not (out / "dare").exists()
    subprocess.run(command(models, out), check=True, capture_output=True)
    assert contents(out) == contents(whole)
    assert not list(out.glob(".*"))


@pytest.mark.skipif(journal.boot_id() is None, reason="this system has no boot id")
@pytest.mark.parametrize("restarted", [False, True])
def test_without_sync_commits_are_valid_until_the_machine_restarts(
    models, whole, tmp_path, restarted
):
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(models, out, "--no-sync"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for_commits(process, out, 3)
    process.kill()
    process.wait()
    (mark,) = out.glob(".*.partial/journal.json")
    if restarted:
        mark.write_text(json.dumps(json.loads(mark.read_text()) | {"boot": "an earlier one"}))
    plan = json.loads(mark.read_text())["plan"]
    assert bool(journal.Journal(mark, plan).done) != restarted
    subprocess.run(command(models, out, "--no-sync"), check=True, capture_output=True)
    assert contents(out) == contents(whole)


def test_other_interrupted_commands_say_so(models, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mergescale.merging.engine.check.check_models", interrupted)
    assert main(["check", str(models / "recipe.yaml")]) == 130
    assert capsys.readouterr().err == "mergescale: stopped\n"


def test_a_closed_pipe_is_no_traceback(models):
    explain = [sys.executable, "-m", "mergescale", "explain", str(models / "recipe.yaml")]
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(explain, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (process.returncode, process.stderr) == (141, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs_are_no_error(models, whole, tmp_path, closed):
    out, kept = tmp_path / "out", tmp_path / "cache"
    merge = [sys.executable, "-m", "mergescale", "merge", models / "recipe.yaml", out]
    merge += ["--cache-dir", kept, "--memory-limit", "2GB"]
    assert subprocess.run(["bash", "-c", f'"$@" {closed}', "bash", *merge]).returncode == 0
    assert contents(out) == contents(whole)
