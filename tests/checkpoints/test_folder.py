"""Folders: reading, atomic writing, and a merge that transformers loads."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from mergescale.checkpoints import folder as checkpoint
from mergescale.checkpoints.folder import read_weights
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.run import run_merges
from mergescale.merging.in_memory import read_task_vectors
from mergescale.merging.ops.cast import apply_task_vector_
from mergescale.merging.registry import get_method


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tiny Llama with tied embeddings and two experts of it: {name: folder}."""
    from transformers import LlamaConfig, LlamaForCausalLM

    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(root / "base")
    (root / "base" / "tokenizer.json").write_text("{}")
    (root / "base" / "training_state.pt").write_text("not shared")
    for name in ("qa", "nli"):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.01)
        model.save_pretrained(root / name)
    return {name: root / name for name in ("base", "qa", "nli")}


@pytest.fixture
def copy(folders, tmp_path):
    """The base's folder, to be damaged."""
    return shutil.copytree(folders["base"], tmp_path / "copy")


def experts_of(folders):
    return {name: folders[name] for name in ("qa", "nli")}


def merge_into(out, base, experts, name="averaging", lam=1.0, **settings):
    """One merge from folders to a folder; its record."""
    method = get_method(name)
    merge = Merge(
        out,
        method,
        tuple(sorted(experts)),
        lam,
        parameters=method.canonical(settings),
        seed=1 if method.stochastic else None,
    )
    return run_merges(base, experts, [merge])[0].record


@pytest.mark.parametrize("method", ["averaging", "task_arithmetic", "ties", "dare_ties", "slerp"])
def test_merged_folder_loads_and_equals_the_merge_in_memory(folders, tmp_path, method):
    from transformers import AutoModelForCausalLM

    settings = {"density": 0.2} if method in ("ties", "dare_ties") else {}
    lam = 0.3 if get_method(method).sweeps_lambda else 1.0
    out = tmp_path / "merges" / method
    record = merge_into(out, folders["base"], experts_of(folders), method, lam, **settings)

    resident = AutoModelForCausalLM.from_pretrained(folders["base"])
    base = read_weights(folders["base"])
    vectors = read_task_vectors(base, experts_of(folders))
    tau = get_method(method).tau(vectors, seed=1, base=base, **settings)
    apply_task_vector_(dict(resident.named_parameters()), base, tau, lam)

    loaded = AutoModelForCausalLM.from_pretrained(out)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    expected = dict(resident.named_parameters())
    assert all(torch.equal(p, expected[name]) for name, p in loaded.named_parameters())
    assert loaded.dtype == torch.float32
    moved = dict(AutoModelForCausalLM.from_pretrained(folders["base"]).named_parameters())
    assert not torch.equal(moved["model.norm.weight"], expected["model.norm.weight"])

    assert json.loads((out / "merge.json").read_text()) == record
    files = {path.name for path in out.iterdir()}
    assert files >= {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json"}
    assert "training_state.pt" not in files
    assert record["inputs"]["qa"]["digest"] in (out / "README.md").read_text()
    assert [path.name for path in out.parent.iterdir()] == [method]  # nothing beside it


def test_writing_twice_gives_the_same_bytes(folders, tmp_path):
    for name in ("a", "b"):
        merge_into(tmp_path / name, folders["base"], experts_of(folders), "task_arithmetic", 0.4)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_lambda_zero_writes_the_weights_of_the_base(folders, tmp_path):
    merge_into(tmp_path / "m", folders["base"], experts_of(folders), "task_arithmetic", 0.0)
    base, merged = read_weights(folders["base"]), read_weights(tmp_path / "m")
    assert all(base[n].numpy().tobytes() == merged[n].numpy().tobytes() for n in base)


def test_tied_weights_appear_once(folders, copy):
    assert "lm_head.weight" not in read_weights(folders["base"])
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert read_weights(copy).keys() == read_weights(folders["base"]).keys()


def test_an_output_embedding_of_its_own_stays(copy):
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"] + 1
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert "lm_head.weight" in read_weights(copy)


def shard(folder):
    """Splits a folder's weights into two files and an index."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for i, part in enumerate((sorted(weights)[::2], sorted(weights)[1::2])):
        file = f"model-0000{i + 1}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, folder / file)
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_shards_are_read_like_one_file(folders, copy, tmp_path):
    shard(copy)
    whole, shards = read_weights(folders["base"]), read_weights(copy)
    assert list(whole) == list(shards)
    assert all(torch.equal(whole[name], shards[name]) for name in whole)
    merge_into(tmp_path / "m", copy, experts_of(folders))
    assert not (tmp_path / "m" / "model.safetensors.index.json").exists()


def test_missing_shard_and_tensor_are_named(copy):
    shard(copy)
    index = copy / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["ghost"] = "model-00001-of-00002.safetensors"
    index.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="tensor ghost is in model.safetensors.index.json"):
        read_weights(copy)
    (copy / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match="names model-00002-of-00002.safetensors, which does"):
        read_weights(copy)


def test_16_bit_weights_are_read_and_merged_in_fp32(folders, tmp_path):
    from transformers import AutoModelForCausalLM

    half = tmp_path / "half"
    model = AutoModelForCausalLM.from_pretrained(folders["base"], dtype=torch.bfloat16)
    model.save_pretrained(half)
    assert {w.dtype for w in read_weights(half).values()} == {torch.float32}
    merge_into(tmp_path / "m", half, {"qa": folders["qa"]}, "task_arithmetic", 0.5)
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "m").dtype == torch.float32


def test_pickles_are_refused_with_a_way_out(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ValueError, match="only pickled weights .*save_pretrained"):
        read_weights(copy)


def test_empty_and_missing_folders(tmp_path):
    with pytest.raises(ValueError, match="has no model.safetensors"):
        read_weights(tmp_path)
    with pytest.raises(ValueError, match="nowhere is not a directory"):
        read_weights(tmp_path / "nowhere")


@pytest.mark.parametrize("size", [0, 5, 100, -10])
def test_truncated_file_is_named(copy, size):
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="model.safetensors is not a readable safetensors file"):
        read_weights(copy)


def test_bad_expert_writes_nothing(folders, copy, tmp_path):
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"][3] = float("nan")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    out = tmp_path / "m"
    with pytest.raises(ValueError, match=r"bad \(.*copy\): tensor model.norm.weight has NaN"):
        merge_into(out, folders["base"], {"bad": copy})
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_an_expert_that_is_the_base_all_over_is_refused(folders, copy, tmp_path):
    with pytest.raises(ValueError, match="same .* has the same weights as the base"):
        merge_into(tmp_path / "m", folders["base"], {"same": copy, "qa": folders["qa"]})
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_an_existing_folder_is_not_overwritten(folders, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="already exists"):
        merge_into(tmp_path / "m", folders["base"], experts_of(folders))
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["notes.txt"]


def test_another_merge_is_not_overwritten_and_the_same_is_left_alone(folders, tmp_path):
    arguments = (tmp_path / "m", folders["base"], experts_of(folders), "task_arithmetic")
    merge_into(*arguments, 0.4)
    written = (tmp_path / "m" / "model.safetensors").stat().st_mtime_ns
    merge_into(*arguments, 0.4)
    assert (tmp_path / "m" / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(FileExistsError, match="different or incomplete merge"):
        merge_into(*arguments, 0.5)
    assert (tmp_path / "m" / "model.safetensors").stat().st_mtime_ns == written


def test_an_empty_folder_may_stand_there(folders, tmp_path):
    (tmp_path / "m").mkdir()
    merge_into(tmp_path / "m", folders["base"], experts_of(folders))
    assert (tmp_path / "m" / "model.safetensors").is_file()


def test_an_error_while_writing_leaves_nothing(folders, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError("No space left on device")

    for place, call in ((checkpoint.shutil, "copyfile"), (os, "pwrite"), (os, "posix_fallocate")):
        with monkeypatch.context() as patch:
            patch.setattr(place, call, full_disk, raising=False)
            with pytest.raises(OSError, match="No space left"):
                merge_into(tmp_path / "m", folders["base"], experts_of(folders))
        assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from mergescale.checkpoints import writer as output_folder
from mergescale.merging.engine.run import run_merges
from mergescale.merging.registry import get_method
from mergescale.merging.engine.merge_spec import Merge
output_folder.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
out, base, expert = map(Path, sys.argv[1:])
run_merges(base, {"qa": expert}, [Merge(out, get_method("averaging"), ("qa",), 1.0)])
"""


def test_a_killed_write_leaves_no_folder_of_that_name_and_can_be_repeated(folders, tmp_path):
    paths = [str(path) for path in (tmp_path / "m", folders["base"], folders["qa"])]
    arguments = [sys.executable, "-c", KILLED, *paths]
    done = subprocess.run(arguments, env=os.environ, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".m.partial"]
    merge_into(tmp_path / "m", folders["base"], {"qa": folders["qa"]})
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    merge_into(tmp_path / "n", folders["base"], {"qa": folders["qa"]})
    for name in ("model.safetensors", "merge.json", "README.md", "config.json"):
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "n" / name).read_bytes()
