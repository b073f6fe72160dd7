"""Every method of the registry against its formula in float64, in memory and from folders."""

import numpy as np
import pytest
import torch
from merging_oracle import (
    DTYPES,
    SHAPES,
    oracle,
    random_fisher,
    random_model,
    random_task_vectors,
    write_model,
)

from mergescale.checkpoints.folder import read_weights
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.run import run_merges
from mergescale.merging.ops.task_vector import task_vector
from mergescale.merging.registry import all_methods, get_method

DENSITIES = (0.1, 0.2, 0.5, 1.0)
# fp32 against float64: entries are of order 1, and a few roundings apart.
CLOSE = {"rtol": 2e-6, "atol": 2e-6}
SETTINGS = {
    "averaging": [{}],
    "task_arithmetic": [{}],
    "emr": [{}],
    "fisher": [{}, {"floor": 1e-3}],
    "iso_c": [{}],
    "model_stock": [{}],
    "slerp": [{"t": t} for t in (0.0, 0.3, 0.5, 1.0)],
    "ties": [
        {"density": d, "trim_scope": scope, "rounding": rounding, "aggregate": aggregate, **more}
        for d in DENSITIES
        for more in ({}, {"ties": "first"})
        for scope, rounding, aggregate in (
            ("model", "up", "mean"),
            ("tensor", "up", "mean"),
            ("tensor", "down", "sum"),
            ("tensor", "at_least_one", "mean"),
        )
    ],
    "breadcrumbs": [
        {"density": d, "outliers": outliers, "trim_scope": scope, "rounding": rounding, **more}
        for d in DENSITIES
        for more in ({}, {"ties": "first"})
        for outliers in (0.0, 0.05, 0.25)
        for scope, rounding in (("tensor", "up"), ("tensor", "down"), ("model", "up"))
    ],
    "dare_linear": [{"density": d} for d in DENSITIES],
    "dare_ties": [{"density": d, "aggregate": a} for d in DENSITIES for a in ("mean", "sum")],
}
WEIGHTS = {"expert0": 0.5, "expert1": 2.0, "expert2": 1.0, "expert3": -0.25}
each_method = pytest.mark.parametrize("name", sorted(SETTINGS))
# Folders with statistics files: tests/merging/engine.
each_method_of_folders = pytest.mark.parametrize("name", sorted(SETTINGS.keys() - {"fisher"}))


def more(name, vectors):
    """What a method needs beside task vectors and parameters."""
    return {"statistics": {"fisher": random_fisher(11, vectors)}} if name == "fisher" else {}


def test_every_method_of_the_registry_has_a_formula_here():
    assert sorted(all_methods()) == sorted(SETTINGS)


def numbers(name):
    least, most = get_method(name).experts
    return [n for n in (1, 2, 3, 8) if n >= least and (most is None or n <= most)]


def assert_close(tau, expected):
    assert {n: tuple(t.shape) for n, t in tau.items()} == {n: t.shape for n, t in expected.items()}
    for tensor, values in expected.items():
        np.testing.assert_allclose(tau[tensor].double().numpy(), values, err_msg=tensor, **CLOSE)


@pytest.mark.parametrize("kind", ["grid", "normal"])
@each_method
def test_tau_in_memory(name, kind):
    method = get_method(name)
    for model_seed in range(3):
        base = random_model(np.random.default_rng(100 + model_seed), kind)
        for number in numbers(name):
            vectors = random_task_vectors(model_seed, number, kind)
            for settings in SETTINGS[name]:
                options = settings | more(name, vectors)
                tau = method.tau(vectors, seed=7, base=base, **options)
                assert all(t.dtype == torch.float32 for t in tau.values())
                assert_close(tau, oracle(name, vectors, base, seed=7, **options))


@each_method
def test_tau_in_memory_with_weights(name):
    given = dict(WEIGHTS)
    if name == "fisher":
        given["expert3"] = 0.25  # sums of information of both signs nearly cancel somewhere
    # SLERP and Model Stock are defined without weights, and leave them alone.
    weights = {} if name in ("slerp", "model_stock") else given
    base = random_model(np.random.default_rng(1), "grid")
    for number in numbers(name):
        vectors = random_task_vectors(number, min(number, 4), "grid")
        for settings in SETTINGS[name]:
            options = settings | more(name, vectors)
            tau = get_method(name).tau(vectors, seed=7, base=base, weights=given, **options)
            expected = oracle(name, vectors, base, weights=weights, seed=7, **options)
            assert_close(tau, expected)


@pytest.fixture(scope="module", params=["grid", "normal"])
def folders(request, tmp_path_factory):
    """A base and four experts of several dtypes: ({name: folder}, {name: weights as read})."""
    root, rng = tmp_path_factory.mktemp(request.param), np.random.default_rng(5)
    paths = {}
    for number, name in enumerate(("base", "expert0", "expert1", "expert2", "expert3")):
        dtype = DTYPES[(number + 1) % len(DTYPES)]
        weights = {n: w.to(dtype) for n, w in random_model(rng, request.param).items()}
        weights["steps"] = torch.tensor([number, 7])
        paths[name] = write_model(root / name, weights)
    return paths, {name: read_weights(path) for name, path in paths.items()}


def check_folder(folders, out, name, *, lam=1.0, weights=None, own=None, **settings):
    paths, models = folders
    method = get_method(name)
    experts = tuple(sorted(paths.keys() - {"base"}))[: method.experts[1]]
    seed = 3 if method.stochastic else None
    merge = Merge(
        out,
        method,
        experts,
        lam,
        parameters=method.canonical(settings),
        overrides=own or {},
        weights=weights or {},
        seed=seed,
    )
    run_merges(paths["base"], {expert: paths[expert] for expert in experts}, [merge])
    base = models["base"]
    vectors = {expert: task_vector(models[expert], base) for expert in experts}
    floating = {n: w for n, w in base.items() if w.is_floating_point()}
    tau = oracle(name, vectors, floating, weights=weights, own=own, seed=seed, **settings)
    merged = read_weights(out)
    assert merged["steps"].tolist() == [0, 7]  # the base's: integers are not merged
    assert_close(
        {n: merged[n] for n in tau}, {n: base[n].double().numpy() + lam * tau[n] for n in tau}
    )


@each_method_of_folders
def test_folders_of_16_bit_and_32_bit_models(folders, tmp_path, name):
    for number, settings in enumerate(SETTINGS[name]):
        lam = 0.3 if get_method(name).sweeps_lambda else 1.0
        check_folder(folders, tmp_path / str(number), name, lam=lam, **settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("averaging", {}),
        ("task_arithmetic", {}),
        ("emr", {}),
        ("iso_c", {}),
        ("ties", {"density": 0.5}),
        ("ties", {"density": 0.5, "trim_scope": "tensor", "aggregate": "sum"}),
        ("breadcrumbs", {"density": 0.5}),
        ("dare_linear", {"density": 0.5}),
        ("dare_ties", {"density": 0.5}),
    ],
)
def test_folders_with_weights(folders, tmp_path, name, settings):
    check_folder(folders, tmp_path / "m", name, weights=WEIGHTS, **settings)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("ties", {"expert0": {"density": 1.0}, "expert2": {"density": 0.25}}),
        ("dare_linear", {"expert0": {"density": 1.0}, "expert2": {"density": 0.25}}),
        ("dare_ties", {"expert0": {"density": 1.0}, "expert2": {"density": 0.25}}),
        ("breadcrumbs", {"expert0": {"density": 1.0}, "expert2": {"density": 0.25}}),
        ("breadcrumbs", {"expert1": {"outliers": 0.0}, "expert2": {"outliers": 0.3}}),
        ("ties", {"expert1": {"ties": "first"}, "expert2": {"density": 0.25}}),
    ],
)
def test_folders_with_settings_of_single_experts(folders, tmp_path, name, own):
    check_folder(folders, tmp_path / "a", name, own=own, density=0.5)
    check_folder(folders, tmp_path / "b", name, own=own, weights=WEIGHTS, density=0.5)


def test_masks_of_emr_say_where_an_expert_agrees(folders, tmp_path):
    from safetensors.torch import load_file

    check_folder(folders, tmp_path / "m", "emr")
    masks = load_file(tmp_path / "m" / "masks.safetensors")
    _, models = folders
    base = models["base"]
    vectors = {e: task_vector(models[e], base) for e in models if e != "base"}
    tau = oracle("emr", vectors)
    assert masks.keys() == {f"{expert}.{tensor}" for expert in vectors for tensor in tau}
    for expert, vector in vectors.items():
        for tensor, values in tau.items():
            agrees = vector[tensor].double().numpy() * values > 0
            assert np.array_equal(masks[f"{expert}.{tensor}"].numpy(), agrees)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_16_bit_output_is_the_fp32_merge_rounded_and_says_what_it_lost(folders, tmp_path, dtype):
    paths, models = folders
    experts = {"expert0": paths["expert0"]}
    both = [
        Merge(tmp_path / kind, get_method("task_arithmetic"), ("expert0",), 0.01, dtype=kind)
        for kind in ("float32", dtype)
    ]
    exact, rounded = run_merges(paths["base"], experts, both)
    whole, half = read_weights(tmp_path / "float32"), read_weights(tmp_path / dtype)
    moving = lost = 0
    delta = task_vector(models["expert0"], models["base"])
    for name in SHAPES:
        assert torch.equal(half[name], whole[name].to(getattr(torch, dtype)).float())
        moves = delta[name] * 0.01 != 0
        moving += int(moves.sum())
        lost += int((moves & (half[name] == models["base"][name])).sum())
    assert exact.record["rounded_away_fraction"] == 0.0
    assert rounded.record["rounded_away_fraction"] == pytest.approx(lost / moving)
