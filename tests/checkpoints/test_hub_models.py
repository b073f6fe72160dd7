"""Models of the hub: fetched whole or not at all, resumed, adopted without a copy in memory."""

from __future__ import annotations

import inspect
import json
import os
from types import SimpleNamespace

import pytest
import tiny_study
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from mergescale.checkpoints import hub_download as hub
from mergescale.cli.main import main
from mergescale.models.loading import load
from mergescale.stages.adopt import adopt_checkpoint
from mergescale.training import training_run  # noqa: F401  # before a test patches `load`

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FETCH = ["fetch-model", "--repo", "lab/model", "--revision", "main"]


@pytest.fixture
def model(tmp_path):
    """What the hub has: a tiny model in one file."""
    folder = tmp_path / "hub" / "model"
    words = tiny_study.tokenizer()
    tiny_study.save(folder, tiny_study.llama(words=words), words)
    return folder


def sharded(folder, dtype=torch.bfloat16):
    """Cut the model's file into two shards with an index, in another type."""
    weights = {
        name: weight.to(dtype) for name, weight in load_file(folder / "model.safetensors").items()
    }
    (folder / "model.safetensors").unlink()
    names, places = sorted(weights), {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        shard = f"model-0000{number}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, folder / shard, {"format": "pt"})
        places |= dict.fromkeys(part, shard)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return weights


@pytest.fixture
def served(model, monkeypatch):
    """Stands in for the one function that asks the hub: brings files that are not there yet."""
    brought = []

    def download(repo, revision, folder, stop_after=None):
        for path in sorted(model.iterdir()):
            if not (folder / path.name).exists():
                if stop_after is not None and len(brought) >= stop_after:
                    raise ConnectionError("the connection was lost")
                (folder / path.name).write_bytes(path.read_bytes())
                brought.append(path.name)
        return COMMIT

    monkeypatch.setattr(hub, "download", download)
    return brought


def test_a_model_is_fetched_with_a_record_of_its_commit(model, served, tmp_path):
    out = tmp_path / "out"
    assert main([*FETCH, "--out", str(out)]) == 0
    size = (model / "model.safetensors").stat().st_size
    assert json.loads((out / "hub.json").read_text()) == {
        "repo": "lab/model",
        "commit": COMMIT,
        "weights": {"model.safetensors": size},
    }


def test_of_a_repository_weights_configuration_and_tokenizer_are_asked_for(tmp_path, monkeypatch):
    import huggingface_hub
    from huggingface_hub.utils import filter_repo_objects

    repository = [
        *("config.json", "generation_config.json", "tokenizer.json", "merges.txt"),
        *("model-00001-of-00002.safetensors", "model.safetensors.index.json"),
        *("README.md", "LICENSE", "pytorch_model.bin", "consolidated.safetensors", "modeling.py"),
        *("original/model.safetensors", "onnx/config.json"),
    ]
    chosen = []

    def snapshot_download(repo, *, revision, local_dir, allow_patterns, ignore_patterns):
        patterns = {"allow_patterns": allow_patterns, "ignore_patterns": ignore_patterns}
        chosen.extend([revision, *filter_repo_objects(repository, **patterns)])

    info = SimpleNamespace(sha=COMMIT)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *given, **options: info)
    signature = inspect.signature(huggingface_hub.snapshot_download)
    assert inspect.signature(snapshot_download).parameters.keys() - {"repo"} < set(
        signature.parameters
    )
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert hub.download("lab/model", "main", tmp_path) == COMMIT
    assert chosen == [COMMIT, *repository[:6]], "the files of the commit, whatever the branch does"


def test_a_stopped_download_resumes(served, tmp_path, monkeypatch, capsys):
    out, whole = tmp_path / "out", hub.download
    monkeypatch.setattr(hub, "download", lambda *given: whole(*given, stop_after=2))
    assert main([*FETCH, "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    assert "lab/model cannot be downloaded" in error and "again with a network" in error
    assert not (out / "hub.json").exists() and len(served) == 2
    monkeypatch.setattr(hub, "download", whole)
    assert main([*FETCH, "--out", str(out)]) == 0
    assert len(served) == len(set(served)), "a file was downloaded twice"


def test_another_revision_takes_nothing_over(served, tmp_path):
    hub.fetch(tmp_path / "out", repo="lab/model", revision="old")
    (tmp_path / "out" / "model-00001-of-00009.safetensors").write_bytes(b"of the old revision")
    hub.fetch(tmp_path / "out", repo="lab/model", revision="new")
    assert not (tmp_path / "out" / "model-00001-of-00009.safetensors").exists()


def test_a_model_of_pickles_is_refused(model, served, tmp_path, capsys):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert main([*FETCH, "--out", str(tmp_path / "out")]) == 1
    assert "no complete safetensors weights" in capsys.readouterr().err
    assert not (tmp_path / "out" / "hub.json").exists()


def test_without_a_network_one_sentence_says_so(tmp_path, monkeypatch, capsys):
    # The real download, against a port where nobody listens.
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert main([*FETCH, "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "lab/model cannot be downloaded" in error


def adopted_without_loading(model, out, monkeypatch):
    def from_pretrained(*given, **options):
        pytest.fail("the weights were read")

    with monkeypatch.context() as patch:
        patch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
        return adopted(model, out)


def adopted(model, out):
    adopt_checkpoint(out, checkpoint=model)
    return json.loads((out / "training.json").read_text())


def same_weights(model, other):
    one, two = load(model)[0].state_dict(), load(other)[0].state_dict()
    assert one.keys() == two.keys()
    return all(weight.equal(two[name]) for name, weight in one.items())


def test_a_fetched_file_is_linked_not_copied(model, served, tmp_path, monkeypatch):
    hub.fetch(tmp_path / "fetched", repo="lab/model", revision=COMMIT)
    record = adopted_without_loading(tmp_path / "fetched", tmp_path / "out", monkeypatch)
    file = tmp_path / "out" / "model.safetensors"
    assert file.stat().st_ino == (tmp_path / "fetched" / "model.safetensors").stat().st_ino
    # Or Snakemake would take it for older than what it is made from.
    assert file.stat().st_mtime_ns >= (tmp_path / "fetched" / "hub.json").stat().st_mtime_ns
    assert record["hub"] == {"repo": "lab/model", "commit": COMMIT}
    assert record["weights"] == record["inputs"]["weights"]
    assert same_weights(model, tmp_path / "out")


def test_somebody_elses_checkpoint_is_copied(model, tmp_path):
    adopted(model, tmp_path / "out")
    one, two = (folder / "model.safetensors" for folder in (model, tmp_path / "out"))
    assert one.stat().st_ino != two.stat().st_ino and one.read_bytes() == two.read_bytes()


def test_shards_are_joined_in_their_own_type(model, tmp_path, monkeypatch):
    weights = sharded(model)
    record = adopted_without_loading(model, tmp_path / "out", monkeypatch)
    joined = load_file(tmp_path / "out" / "model.safetensors")
    assert joined.keys() == weights.keys()
    assert all(joined[name].dtype == torch.bfloat16 for name in weights)
    assert all(joined[name].equal(weight) for name, weight in weights.items())
    assert same_weights(model, tmp_path / "out")
    assert record["parameters"] == sum(p.numel() for p in tiny_study.llama().parameters())
    assert not (tmp_path / "out" / "model.safetensors.index.json").exists()


def test_the_joined_weights_can_be_trained_on(model, tmp_path):
    sharded(model)
    adopted(model, tmp_path / "base")
    tiny_study.write_tasks(tmp_path / "tasks")
    arguments = ["--steps", "2", "--batch-size", "2", "--learning-rate", "1e-3"]
    arguments += [
        "--max-length",
        "64",
        "--checkpoint-dir",
        str(tmp_path / "checkpoints"),
        "--device",
        "cpu",
    ]
    data = tmp_path / "tasks" / "reviews" / "train.parquet"
    run = ["finetune", "--stage", "expert", "--base", str(tmp_path / "base"), "--data", str(data)]
    assert main([*run, *arguments, "--out", str(tmp_path / "expert")]) == 0
    assert load(tmp_path / "expert")


def test_weights_under_other_names_go_through_transformers(model, tmp_path):
    """As in a file of the bare transformer, without the head's prefix."""
    weights = load_file(model / "model.safetensors")
    renamed = {name.removeprefix("model."): weight for name, weight in weights.items()}
    before = load(model)[0].state_dict()
    save_file(renamed, model / "model.safetensors", {"format": "pt"})
    adopted(model, tmp_path / "out")
    assert load_file(tmp_path / "out" / "model.safetensors").keys() == weights.keys()
    after = load(tmp_path / "out")[0].state_dict()
    assert all(weight.equal(after[name]) for name, weight in before.items())


def test_no_link_is_no_fault(model, served, tmp_path, monkeypatch):
    def refuse(*given, **options):
        raise OSError("links are not allowed here")

    hub.fetch(tmp_path / "fetched", repo="lab/model", revision=COMMIT)
    monkeypatch.setattr(os, "link", refuse)
    adopted(tmp_path / "fetched", tmp_path / "out")
    assert same_weights(model, tmp_path / "out")
