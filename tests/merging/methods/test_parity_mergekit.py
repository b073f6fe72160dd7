"""Recipes in mergekit's form give what mergekit 0.1.5 gives, model for model.

mergekit needs packages that are not this project's, so it runs in an environment of its own:

    python3.11 -m venv mergekit && mergekit/bin/pip install mergekit==0.1.5
    MERGEKIT_PYTHON=mergekit/bin/python pytest tests/merging/methods/test_parity_mergekit.py

Values have no ties: among entries of one magnitude mergekit keeps arbitrary ones. Outputs are
compared in fp32: both compute in it, in another order.
"""

import json
import math
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from merging_oracle import random_model, write_model
from safetensors.torch import load_file, save_file

from mergescale.merging.engine.run import run_merges
from mergescale.merging.ops.mask import bernoulli_mask
from mergescale.merging.recipes.recipe import read_recipe

PYTHON = os.environ.get("MERGEKIT_PYTHON")
pytestmark = pytest.mark.skipif(
    not PYTHON, reason="MERGEKIT_PYTHON does not name the python of an environment with mergekit"
)
EXPERTS = ("expert0", "expert1", "expert2")
CLOSE = {"rtol": 1e-6, "atol": 1e-6}  # of weights of order 1 and updates of order 0.1
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 24,
    "hidden_size": 20,
    "intermediate_size": 15,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}
SHAPES = {
    "model.embed_tokens.weight": (24, 20),
    **{f"model.layers.0.self_attn.{name}_proj.weight": (20, 20) for name in "qkvo"},
    "model.layers.0.mlp.gate_proj.weight": (15, 20),
    "model.layers.0.mlp.up_proj.weight": (15, 20),
    "model.layers.0.mlp.down_proj.weight": (20, 15),
    "model.layers.0.input_layernorm.weight": (20,),
    "model.layers.0.post_attention_layernorm.weight": (20,),
    "model.norm.weight": (20,),
    "lm_head.weight": (24, 20),
}
DROPPED = 0.4  # density of DARE

UNEVEN = {"expert0": {"weight": 0.5}, "expert1": {"weight": 2.0}, "expert2": {"weight": -0.25}}
ONE = {"expert0": {"weight": 0.5}, "expert1": {"weight": 0.3}, "expert2": {"weight": 0.2}}
DENSITIES = {
    "expert0": {"density": 1.0},
    "expert1": {"density": 0.29},
    "expert2": {"density": 0.03},
}
# Shares of which the sum rounds as each by itself does, in tensors of 20, 300, 400 and 480 entries.
CRUMBS = {"density": 0.4, "gamma": 0.1}
# One file for both: (method, parameters, parameters of single experts).
CASES = {
    "linear": ("linear", {}, UNEVEN),
    "linear with the base": ("linear", {}, {"base": {"weight": 3.0}, **UNEVEN}),
    "linear, not normalized": ("linear", {"normalize": False}, ONE),
    "task arithmetic": ("task_arithmetic", {"lambda": 0.4}, UNEVEN),
    "task arithmetic, normalized": ("task_arithmetic", {"normalize": True}, UNEVEN),
    "ties": ("ties", {"density": 0.2, "lambda": 0.5}, {}),
    "ties that keeps one entry": ("ties", {"density": 0.03}, {}),
    "ties, full density": ("ties", {}, {}),
    "ties, added up": ("ties", {"density": 0.5, "normalize": False}, {}),
    "ties with weights": ("ties", {"density": 0.5}, UNEVEN),
    "ties with densities": ("ties", {}, DENSITIES),
    "breadcrumbs": ("breadcrumbs", {**CRUMBS, "lambda": 0.5}, {}),
    "breadcrumbs with weights, normalized": ("breadcrumbs", {**CRUMBS, "normalize": True}, UNEVEN),
    "breadcrumbs, full density": ("breadcrumbs", {"gamma": 0.1}, {}),
    "breadcrumbs with shares": (
        "breadcrumbs", CRUMBS, {"expert0": {"density": 0.5}, "expert1": {"gamma": 0.2}},
    ),
    "model stock": ("model_stock", {}, {}),
    # A tensor of 0 would differ: mergekit takes it to be at right angles, here it is parallel.
    "slerp at 0": ("slerp", {"t": 0.0}, {}),
    "slerp at 0.3": ("slerp", {"t": 0.3}, {}),
    "slerp at 1": ("slerp", {"t": 1.0}, {}),
}  # fmt: skip
DARE = {
    f"{method}, {'normalized' if normalize else 'added up'}": (method, {"normalize": normalize})
    for method in ("dare_linear", "dare_ties")
    for normalize in (False, True)
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A tiny Llama and three experts of it: the folder that holds them."""
    root, rng = tmp_path_factory.mktemp("models"), np.random.default_rng(0)
    base = random_model(rng, "normal", SHAPES)
    for name in ("base", *EXPERTS):
        delta = random_model(rng, "normal", SHAPES)
        weights = {n: w + (name != "base") * 0.1 * delta[n] for n, w in base.items()}
        write_model(root / name, weights, **CONFIG)
    return root


def mergekit_file(models, method, parameters=None, own=None):
    """A configuration of mergekit; own: {expert: parameters}."""
    names = ("base", "expert0") if method == "slerp" else EXPERTS
    if own and "base" in own:
        names = ("base", *EXPERTS)
    return {
        "merge_method": method,
        # Where every model counts by its weight, mergekit has a base_model count too.
        **({} if method == "linear" else {"base_model": str(models / "base")}),
        "models": [
            {
                "model": str(models / name),
                "parameters": {"weight": 1.0, **(own or {}).get(name, {})},
            }
            for name in names
        ],
        "parameters": parameters or {},
        "dtype": "float32",
    }


def dare_file(models, method, parameters, **more):
    return mergekit_file(models, method, {"density": DROPPED, **parameters, **more}, UNEVEN)


@pytest.fixture(scope="module")
def masks(models):
    """Our masks of every expert, with seed 0, which a recipe without one has."""
    return {
        f"{expert}/{name}": torch.from_numpy(
            bernoulli_mask(0, expert, name, 0, math.prod(shape), round(1 - DROPPED, 10)).copy()
        ).view(shape)
        for expert in EXPERTS
        for name, shape in SHAPES.items()
    }


@pytest.fixture(scope="module")
def theirs(models, masks, tmp_path_factory):
    """What mergekit makes of every case: {case: weights}."""
    out = tmp_path_factory.mktemp("theirs")
    save_file(masks, out / "masks.safetensors")
    drawn = str(out / "masks.safetensors")
    jobs = {case: (mergekit_file(models, *given), None) for case, given in CASES.items()}
    for case, given in DARE.items():
        jobs[case] = (dare_file(models, *given, rescale=False), drawn)
    jobs["as it is"] = (dare_file(models, "dare_linear", {}), drawn)
    (out / "jobs.yaml").write_text(
        json.dumps({str(out / c): {"config": f, "masks": m} for c, (f, m) in jobs.items()})
    )
    done = subprocess.run(
        [PYTHON, str(Path(__file__).with_name("run_mergekit.py")), str(out / "jobs.yaml")],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {
        case: {
            n: w for file in (out / case).glob("*.safetensors") for n, w in load_file(file).items()
        }
        for case in jobs
    }


def run_ours(config, out):
    out.mkdir(parents=True)
    (out / "mergekit.yaml").write_text(yaml.safe_dump(config))
    recipe = read_recipe(out / "mergekit.yaml")
    run_merges(recipe.base, recipe.experts, recipe.into(out / "made"))
    return load_file(out / "made" / "model.safetensors")


def assert_alike(ours, theirs, **tolerance):
    assert ours.keys() == theirs.keys() == SHAPES.keys()
    for name, values in theirs.items():
        np.testing.assert_allclose(
            ours[name].double().numpy(), values.double().numpy(), err_msg=name, **tolerance
        )


@pytest.mark.parametrize("case", CASES)
def test_one_file_for_both(models, theirs, tmp_path, case):
    config = mergekit_file(models, *CASES[case])
    assert_alike(run_ours(config, tmp_path / "ours"), theirs[case], **CLOSE)


@pytest.mark.parametrize("case", DARE)
def test_dare_with_the_same_masks_and_our_rescaling(models, theirs, tmp_path, case):
    # mergekit rescales each tensor to the L1 norm it had before; 1 / density, as in the paper, is
    # not among its flags. Without rescaling its result is ours times the density.
    ours = run_ours(dare_file(models, *DARE[case]), tmp_path / "ours")
    base = load_file(models / "base" / "model.safetensors")
    expected = {n: base[n] + (values - base[n]) / DROPPED for n, values in theirs[case].items()}
    # Taking the base off and dividing leaves roundings of weights of order 1.
    assert_alike(ours, expected, rtol=2e-6, atol=3e-6)


def test_its_rescaling_is_all_that_differs(models, masks, theirs):
    base = load_file(models / "base" / "model.safetensors")
    expected = {name: weight.double() for name, weight in base.items()}
    for expert in EXPERTS:
        for name, weight in load_file(models / expert / "model.safetensors").items():
            delta = weight.double() - base[name].double()
            kept = delta * masks[f"{expert}/{name}"]
            factor = UNEVEN[expert]["weight"] * delta.abs().sum() / kept.abs().sum()
            expected[name] = expected[name] + kept * factor
    assert_alike(theirs["as it is"], expected, **CLOSE)
