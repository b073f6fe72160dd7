"""Models for tests of the engine, the merges that are tried on them, and their bytes."""

import json

import numpy as np
import pytest
import torch
from merging_oracle import random_fisher, random_model, random_task_vectors, write_model
from safetensors.torch import load_file, save_file

from mergescale.checkpoints.blocks import BLOCK
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.run import run_merges
from mergescale.merging.registry import all_methods, get_method

# One tensor of more than two of the smallest blocks.
SHAPES = {"embed": (2 * BLOCK // 64 + 7, 64), "w": (9, 5), "norm": (5,), "scalar": ()}
# Matrix methods read whole tensors: test_contracts.py.
METHODS = sorted(n for n, method in all_methods().items() if method.granularity == "elements")
DENSE = ("ties", "dare_ties", "dare_linear", "breadcrumbs")


@pytest.fixture(autouse=True)
def one_thread_of_torch():
    """As inside the engine: products of matrices may be summed in another order with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base and three experts, one of them in bf16: {name: folder}."""
    root = tmp_path_factory.mktemp("models")
    base = random_model(np.random.default_rng(0), "normal", SHAPES)
    made = {"base": write_model(root / "base", base | {"steps": torch.arange(3)})}
    for number, (name, delta) in enumerate(random_task_vectors(1, 3, "normal", SHAPES).items()):
        weights = {n: base[n] + 0.1 * delta[n] for n in base}
        if number == 1:
            weights = {n: w.bfloat16() for n, w in weights.items()}
        made[name] = write_model(root / name, weights | {"steps": torch.arange(3)})
    for name, fisher in random_fisher(2, dict.fromkeys(made.keys() - {"base"}, base)).items():
        save_file(fisher, made[name] / "fisher.safetensors")
    return made


def wanted(out, name, experts=("expert0", "expert1", "expert2"), folders=None, **changes):
    """A merge into `out`; `folders` locate the statistics files of methods that need some."""
    method = get_method(name)
    experts = tuple(experts)[: method.experts[1]]
    parameters = method.canonical({"density": 0.2} if name in DENSE else {})
    kinds = method.statistics_files(parameters)
    return Merge(
        out / name,
        method,
        experts,
        changes.pop("lam", 0.3 if method.sweeps_lambda else 1.0),
        parameters=changes.pop("parameters", parameters),
        statistics_files={
            e: {kind: folders[e] / f"{kind}.safetensors" for kind in kinds}
            for e in experts
            if kinds
        },
        seed=5 if method.stochastic else None,
        **changes,
    )


def of(folders, merge):
    return {name: folders[name] for name in merge.experts}


def raw(tensor):
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


def contents(folder):
    """All weights (and masks) of a folder by name, as bytes."""
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file).items():
            found[name] = (tensor.dtype, tensor.shape, raw(tensor))
    return found


@pytest.fixture(scope="module")
def whole(folders, tmp_path_factory):
    """Every method's merge by `run_merges`: {method: contents}."""
    out = tmp_path_factory.mktemp("whole")
    experts = {name: path for name, path in folders.items() if name != "base"}
    run_merges(folders["base"], experts, [wanted(out, name, folders=folders) for name in METHODS])
    return {name: contents(out / name) for name in METHODS}


def split(source, target, parts):
    """The same model in several files."""
    target.mkdir(parents=True)
    (target / "config.json").write_text((source / "config.json").read_text())
    weights, weight_map = load_file(source / "model.safetensors"), {}
    for part in range(parts):
        file = f"model-{part + 1:05d}-of-{parts:05d}.safetensors"
        names = sorted(weights)[part::parts]
        save_file({name: weights[name] for name in names}, target / file)
        weight_map |= dict.fromkeys(names, file)
    (target / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return target
