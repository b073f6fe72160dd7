"""Merging methods against float64 oracles written from the formulas, and their identities."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch

from mergescale.merging.apply import merge
from mergescale.merging.methods.registry import all_methods, get_method
from mergescale.merging.random_mask import keep_mask
from mergescale.merging.task_vector import task_vector
from mergescale.merging.threshold import kept_count, magnitude_threshold, trim

SHAPES = {"embed": (11, 4), "layer.weight": (4, 5), "norm": (5,), "scalar": (), "one": (1, 1)}
FOUR = ["averaging", "task_arithmetic", "ties", "dare_ties"]
DENSITIES = [0.1, 0.2, 0.5, 1.0]


def random_model(rng, kind):
    """Weights in fp32. "grid": few distinct values, hence many ties, zeros and sums of zero."""
    if kind == "grid":
        draw = lambda shape: rng.integers(-3, 4, shape) / 8  # noqa: E731
    else:
        draw = lambda shape: rng.normal(size=shape)  # noqa: E731
    return {n: torch.tensor(np.asarray(draw(s)), dtype=torch.float32) for n, s in SHAPES.items()}


def random_task_vectors(seed, experts, kind):
    rng = np.random.default_rng(seed)
    vectors = {f"expert{i}": random_model(rng, kind) for i in range(experts)}
    vectors["expert0"]["norm"].zero_()
    return vectors


def flat(tensors):
    return np.concatenate([t.numpy().astype(np.float64).reshape(-1) for t in tensors.values()])


def oracle_disjoint_mean(rows):
    """rows: experts x elements. Element by element, in plain words."""
    result = np.zeros(rows.shape[1])
    for j in range(rows.shape[1]):
        elected = 1 if rows[:, j].sum() >= 0 else -1
        agreeing = [value for value in rows[:, j] if np.sign(value) == elected]
        if agreeing:
            result[j] = sum(agreeing) / len(agreeing)
    return result


def oracle_trim(vector, density):
    keep = math.ceil(round(density * len(vector), 9))
    limit = sorted(np.abs(vector), reverse=True)[keep - 1] if keep else np.inf
    return np.where(np.abs(vector) >= limit, vector, 0)


def oracle(method, vectors, density=None, trim_scope="model", seed=None):
    rows = np.stack([flat(vector) for _, vector in sorted(vectors.items())])
    if method == "averaging":
        return rows.mean(axis=0)
    if method == "task_arithmetic":
        return rows.sum(axis=0)
    edges = np.cumsum([0] + [math.prod(shape) for shape in SHAPES.values()])
    if method == "ties":
        whole = [(0, edges[-1])]
        parts = whole if trim_scope == "model" else list(zip(edges, edges[1:], strict=False))
        trimmed = [
            np.concatenate([oracle_trim(row[start:stop], density) for start, stop in parts])
            for row in rows
        ]
    else:
        trimmed = []
        for expert, row in zip(sorted(vectors), rows, strict=True):
            mask = np.concatenate(
                [
                    keep_mask(seed, expert, name, 0, math.prod(shape), round(1 - density, 10))
                    for name, shape in SHAPES.items()
                ]
            )
            trimmed.append(np.where(mask, row, 0) / density)
    return oracle_disjoint_mean(np.stack(trimmed))


def settings_of(method):
    if method == "ties":
        return [{"density": d, "trim_scope": s} for d in DENSITIES for s in ("model", "tensor")]
    return [{"density": d, "seed": 7} for d in DENSITIES] if method == "dare_ties" else [{}]


@pytest.mark.parametrize("kind", ["grid", "normal"])
@pytest.mark.parametrize("method", FOUR)
def test_method_agrees_with_its_formula_in_float64(method, kind):
    for model_seed in range(4):
        for experts in (1, 2, 3, 8):
            vectors = random_task_vectors(model_seed, experts, kind)
            for settings in settings_of(method):
                tau = get_method(method).tau(vectors, **settings)
                assert {n: tuple(t.shape) for n, t in tau.items()} == SHAPES
                assert all(t.dtype == torch.float32 for t in tau.values())
                expected = oracle(method, vectors, **settings)
                np.testing.assert_allclose(flat(tau), expected, rtol=1e-6, atol=1e-6)


def test_averaging_is_the_mean_of_the_experts_weights():
    rng = np.random.default_rng(0)
    base = random_model(rng, "normal")
    experts = {f"e{i}": random_model(rng, "normal") for i in range(5)}
    vectors = {name: task_vector(expert, base) for name, expert in experts.items()}
    merged = merge(base, get_method("averaging").tau(vectors), 1.0)
    for name in base:
        mean = torch.stack([expert[name].double() for expert in experts.values()]).mean(0)
        torch.testing.assert_close(merged[name].double(), mean, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("experts", [1, 2, 3, 8])
def test_averaging_is_task_arithmetic_with_lambda_one_nth(experts):
    base = random_model(np.random.default_rng(1), "normal")
    vectors = random_task_vectors(2, experts, "normal")
    averaged = merge(base, get_method("averaging").tau(vectors), 1.0)
    added = merge(base, get_method("task_arithmetic").tau(vectors), 1 / experts)
    for name in base:
        torch.testing.assert_close(averaged[name], added[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", FOUR)
def test_one_expert_at_lambda_one_and_full_density_is_the_expert(method):
    rng = np.random.default_rng(3)
    base, expert = random_model(rng, "normal"), random_model(rng, "normal")
    full = {"density": 1.0} if method in ("ties", "dare_ties") else {}
    tau = get_method(method).tau({"only": task_vector(expert, base)}, seed=0, **full)
    merged = merge(base, tau, 1.0)
    for name in base:
        torch.testing.assert_close(merged[name], expert[name], rtol=1e-6, atol=1e-6)


def test_dare_without_drops_is_plain_ties_election():
    vectors = random_task_vectors(4, 4, "grid")
    dare = get_method("dare_ties").tau(vectors, seed=5, density=1)
    ties = get_method("ties").tau(vectors, density=1)
    assert all(torch.equal(dare[name], ties[name]) for name in SHAPES)


@pytest.mark.parametrize("method", FOUR)
def test_order_of_experts_changes_no_bit(method):
    vectors = random_task_vectors(6, 4, "normal")
    for settings in settings_of(method):
        results = [
            flat(get_method(method).tau({n: vectors[n] for n in order}, **settings)).tobytes()
            for order in permutations(vectors)
        ]
        assert len(set(results)) == 1


@pytest.mark.parametrize("method", FOUR)
def test_inputs_are_left_untouched(method):
    vectors = random_task_vectors(8, 3, "normal")
    before = {name: flat(vector).tobytes() for name, vector in vectors.items()}
    for settings in settings_of(method):
        get_method(method).tau(vectors, **settings)
    assert before == {name: flat(vector).tobytes() for name, vector in vectors.items()}


def test_a_sum_of_exactly_zero_elects_the_positive_sign():
    vectors = {"a": {"w": torch.tensor([2.0, -1.0])}, "b": {"w": torch.tensor([-2.0, 1.0])}}
    tau = get_method("ties").tau(vectors, density=1)
    assert tau["w"].tolist() == [2.0, 1.0]


def test_mean_counts_only_experts_that_agree_and_are_not_trimmed():
    vectors = {
        "a": {"w": torch.tensor([4.0, 0.0])},
        "b": {"w": torch.tensor([2.0, 0.0])},
        "c": {"w": torch.tensor([-1.0, 0.0])},
        "d": {"w": torch.tensor([0.0, 0.0])},
    }
    assert get_method("ties").tau(vectors, density=1)["w"].tolist() == [3.0, 0.0]


@pytest.mark.parametrize(
    ("elements", "density", "kept"),
    [(10, 0.2, 2), (11, 0.2, 3), (30, 0.1, 3), (1, 0.1, 1), (3, 1.0, 3), (7, 1e-9, 1), (0, 0.5, 0)],
)
def test_kept_count_rounds_up(elements, density, kept):
    assert kept_count(elements, density) == kept


def test_threshold_keeps_ties_and_spans_all_tensors():
    tensors = [torch.tensor([5.0, -3.0, 3.0]), torch.tensor([[1.0, 0.0], [-3.0, 2.0]])]
    limit = magnitude_threshold(tensors, 2 / 7)
    assert limit == 3.0
    assert trim(tensors[0], limit).tolist() == [5.0, -3.0, 3.0]
    assert trim(tensors[1], limit).tolist() == [[0.0, 0.0], [-3.0, 0.0]]


def test_threshold_keeps_exactly_the_count_without_ties():
    values = torch.from_numpy(np.random.default_rng(0).permutation(1000).astype(np.float32) - 300.5)
    for density in (0.001, 0.1, 0.2, 0.777, 1.0):
        limit = magnitude_threshold([values[:400], values[400:]], density)
        # Magnitudes up to 300 occur twice, as +x and -x.
        kept = int((values.abs() >= limit).sum())
        assert kept_count(1000, density) <= kept <= kept_count(1000, density) + 1


def test_no_expert_is_an_error():
    for name in FOUR:
        with pytest.raises(ValueError, match="no expert"):
            get_method(name).tau({}, seed=0, **_density(name))


def _density(name):
    return {"density": 0.2} if name in ("ties", "dare_ties") else {}


def test_experts_with_different_tensors_are_an_error():
    vectors = {"a": {"w": torch.ones(2)}, "b": {"w": torch.ones(3)}}
    with pytest.raises(ValueError, match=r"b: tensor w has shape \(3,\), but \(2,\) in a"):
        get_method("averaging").tau(vectors)


def test_every_method_of_the_registry_is_tested_here():
    assert sorted(all_methods()) == sorted(FOUR)
