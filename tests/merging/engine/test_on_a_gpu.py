"""Merging on a GPU: the bytes of the CPU; without one, a sentence."""

import numpy as np
import pytest
import torch
from merging_oracle import random_model, random_task_vectors, write_model
from safetensors.torch import load_file

from mergescale.checkpoints.blocks import BLOCK
from mergescale.cli.main import main
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.run import run_merges
from mergescale.merging.registry import all_methods

pytest_plugins = "merge_inputs"
SHAPES = {"embed": (2 * BLOCK // 64 + 7, 64), "w": (9, 5), "norm": (5,), "scalar": ()}
# Fisher needs statistics files, and an SVD has other bits on a GPU.
METHODS = {n: m for n, m in all_methods().items() if n not in ("fisher", "iso_c")}
SETTINGS = {
    name: {"density": 0.2} if name in ("ties", "dare_ties", "dare_linear", "breadcrumbs") else {}
    for name in METHODS
}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("kind", "more"), [("grid", {}), ("grid", {"ties": "first"}), ("normal", {})]
)
def test_a_gpu_writes_the_bytes_of_the_cpu(tmp_path, kind, more, dtype):
    base = random_model(np.random.default_rng(0), kind, SHAPES)
    write_model(tmp_path / "base", base)
    folders = {}
    for name, delta in random_task_vectors(1, 3, kind, SHAPES).items():
        folders[name] = write_model(tmp_path / name, {n: base[n] + delta[n] / 8 for n in base})
    for device in ("cpu", "cuda"):
        merges = [
            Merge(
                tmp_path / device / name,
                method,
                tuple(sorted(folders))[: method.experts[1]],
                0.3 if method.sweeps_lambda else 1.0,
                parameters=method.canonical(
                    SETTINGS[name] | (more if name in ("ties", "breadcrumbs") else {})
                ),
                weights={"expert1": 0.7} if method.weighted else {},
                seed=5 if method.stochastic else None,
                dtype=dtype,
            )
            for name, method in METHODS.items()
        ]
        run_merges(tmp_path / "base", folders, merges, threads=2, device=device)
    for name in METHODS:
        one, other = (load_file(tmp_path / d / name / "model.safetensors") for d in ("cpu", "cuda"))
        for tensor in one:
            assert torch.equal(one[tensor], other[tensor]), (name, tensor)
    one, other = (load_file(tmp_path / d / "emr" / "masks.safetensors") for d in ("cpu", "cuda"))
    assert all(torch.equal(one[mask], other[mask]) for mask in one)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
def test_the_command_takes_a_gpu(models, accepted):
    recipe = {"method": "ties", "density": 0.2, "lambda": 0.5}
    expected = accepted(recipe)
    merge = ["merge", str(models / "recipe.yaml"), str(models / "gpu"), "--device", "cuda"]
    assert main([*merge, "--cache-dir", str(models / "cache-gpu"), "--memory-limit", "4GB"]) == 0
    found = load_file(models / "gpu" / "model.safetensors")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_gpu_that_is_not_there_is_a_sentence(refused, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    recipe = {"method": "ties", "density": 0.2, "lambda": 0.5}
    said = "the device is cuda, but torch sees no GPU here; use auto or cpu"
    refused(recipe, said, more=("--device", "cuda"))
