"""EMR's rescalers: the experts' own L1 norms over those of the masked elected vector."""

import numpy as np
import pytest
import torch
from merging_oracle import oracle, random_model, random_task_vectors, wide, write_model
from safetensors.torch import load_file

from mergescale.checkpoints.blocks import BLOCK
from mergescale.checkpoints.folder import read_weights
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.run import run_merges
from mergescale.merging.in_memory import read_task_vectors
from mergescale.merging.registry import get_method

SHAPES = {"z": (2 * BLOCK // 64 + 7, 64), "b": (9, 5), "norm": (5,), "scalar": (), "none": (0, 3)}
EMR = get_method("emr")
WEIGHTS = {"expert0": 2.0, "expert1": -0.5, "expert2": 1.0}


@pytest.fixture(autouse=True)
def one_thread_of_torch():
    """As inside the engine: sums may be added in another order with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rescalers(vectors, weights=None):
    """By the formula in float64, over all tensors at once."""
    tau, found = oracle("emr", vectors, weights=weights), {}
    for expert, vector in vectors.items():
        factor = (weights or {}).get(expert, 1.0)
        own = {name: factor * delta for name, delta in wide(vector).items()}
        masked = sum(np.abs(tau[n] * (own[n] * tau[n] > 0)).sum() for n in tau)
        found[expert] = sum(np.abs(delta).sum() for delta in own.values()) / masked
    return found


@pytest.mark.parametrize("kind", ["grid", "normal"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_rescalers_are_those_of_the_formula_in_memory_and_from_folders(tmp_path, kind, weights):
    base = random_model(np.random.default_rng(3), kind, SHAPES)
    write_model(tmp_path / "base", base)
    folders = {}
    for name, delta in random_task_vectors(4, 3, kind, SHAPES).items():
        folders[name] = write_model(tmp_path / name, {n: base[n] + delta[n] for n in base})
    vectors = read_task_vectors(read_weights(tmp_path / "base"), folders)
    in_memory = EMR.merge_task_vectors(vectors, weights=weights).record["rescalers"]
    assert in_memory == pytest.approx(rescalers(vectors, weights), rel=1e-9)
    merges = [
        Merge(tmp_path / f"out{lam}", EMR, tuple(folders), lam, weights=weights or {})
        for lam in (1.0, 0.3)
    ]
    for done in run_merges(tmp_path / "base", folders, merges, threads=2):
        assert done.record["rescalers"] == in_memory


def test_mask_and_rescaler_give_a_vector_the_expert_s_norm(tmp_path):
    base = random_model(np.random.default_rng(5), "normal")
    write_model(tmp_path / "base", base)
    folders = {}
    for name, delta in random_task_vectors(6, 3, "normal").items():
        folders[name] = write_model(tmp_path / name, {n: base[n] + delta[n] for n in base})
    out = Merge(tmp_path / "out", EMR, tuple(folders), 1.0)
    (done,) = run_merges(tmp_path / "base", folders, [out])
    merged, masks = read_weights(out.folder), load_file(out.folder / "masks.safetensors")
    for expert, vector in read_task_vectors(base, folders).items():
        rescaler = done.record["rescalers"][expert]
        stand_in = sum(
            (rescaler * masks[f"{expert}.{n}"] * (merged[n] - base[n])).abs().sum() for n in base
        )
        assert float(stand_in) == pytest.approx(float(sum(d.abs().sum() for d in vector.values())))


def test_an_expert_that_agrees_nowhere_has_a_rescaler_all_the_same():
    vectors = {"a": {"w": torch.tensor([3.0, -3.0])}, "b": {"w": torch.tensor([-1.0, 1.0])}}
    assert EMR.merge_task_vectors(vectors).record == {"rescalers": {"a": 1.0, "b": 1.0}}


def test_one_expert_s_task_delta_is_its_task_vector():
    vectors = random_task_vectors(2, 1, "normal", SHAPES)
    merged = EMR.merge_task_vectors(vectors)
    assert merged.record["rescalers"] == {"expert0": 1.0}
    delta = EMR.task_delta(merged, "expert0")
    assert all(torch.equal(delta[name], vectors["expert0"][name]) for name in SHAPES)


def test_equal_experts_have_their_task_vector_back():
    vector = random_task_vectors(2, 1, "normal", SHAPES)["expert0"]
    merged = EMR.merge_task_vectors({"a": vector, "b": vector})
    for expert in ("a", "b"):
        delta = EMR.task_delta(merged, expert)
        assert all(torch.equal(delta[name], vector[name]) for name in SHAPES)


def test_task_deltas_agree_with_their_expert_and_have_its_norm():
    vectors = random_task_vectors(4, 3, "normal", SHAPES)
    merged = EMR.merge_task_vectors(vectors)
    for expert, vector in vectors.items():
        delta = EMR.task_delta(merged, expert)
        rescaler = merged.record["rescalers"][expert]
        for name in SHAPES.keys() - {"none"}:
            kept = merged.masks[expert][name]
            assert kept.shape == delta[name].shape
            assert not delta[name][~kept].any()
            assert ((delta[name] * vector[name])[kept] > 0).all()
            # The unified vector has the largest magnitude that agrees.
            assert (delta[name][kept].abs() >= vector[name][kept].abs() * rescaler * 0.999999).all()
        own, stand_in = (
            sum(float(d.double().abs().sum()) for d in of.values()) for of in (vector, delta)
        )
        assert stand_in == pytest.approx(own, rel=1e-6)


def test_scaling_all_task_vectors_scales_the_task_deltas():
    vectors = random_task_vectors(4, 3, "normal", SHAPES)
    scaled = {e: {n: 4 * d for n, d in vector.items()} for e, vector in vectors.items()}
    one, four = EMR.merge_task_vectors(vectors), EMR.merge_task_vectors(scaled)
    for expert in vectors:
        for name in SHAPES:
            assert torch.equal(
                EMR.task_delta(four, expert)[name], 4 * EMR.task_delta(one, expert)[name]
            )
