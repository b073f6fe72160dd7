"""Identities of merging methods, and single cases that can be computed by hand."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from merging_oracle import (
    SHAPES,
    flat,
    largest,
    random_fisher,
    random_model,
    random_task_vectors,
)

from mergescale.merging.ops.cast import apply_task_vector
from mergescale.merging.ops.quantile import CoarseHistogram, FineHistogram, thresholds_of
from mergescale.merging.ops.task_vector import task_vector
from mergescale.merging.ops.trim import count_to_keep, zero_below
from mergescale.merging.registry import all_methods, get_method

METHODS = sorted(all_methods())
SWEPT = [name for name in METHODS if get_method(name).sweeps_lambda]
# Of those that take any number of experts.
SEVERAL = [name for name in METHODS if get_method(name).experts == (1, None)]
HALF = {name: {"density": 0.5} for name in ("ties", "dare_ties", "dare_linear", "breadcrumbs")}
FULL = {name: {"density": 1.0} for name in HALF}


def options(name, vectors):
    """Parameters, and the statistics of a method that needs them."""
    files = {"statistics": {"fisher": random_fisher(9, vectors)}} if name == "fisher" else {}
    return HALF.get(name, {}) | files


def number_of_experts(name):
    return get_method(name).experts[1] or 4


def test_averaging_is_the_mean_of_the_experts_weights():
    rng = np.random.default_rng(0)
    base = random_model(rng, "normal")
    experts = {f"e{i}": random_model(rng, "normal") for i in range(5)}
    vectors = {name: task_vector(expert, base) for name, expert in experts.items()}
    merged = apply_task_vector(base, get_method("averaging").tau(vectors), 1.0)
    for name in base:
        mean = torch.stack([expert[name].double() for expert in experts.values()]).mean(0)
        torch.testing.assert_close(merged[name].double(), mean, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("experts", [1, 2, 3, 8])
def test_averaging_is_task_arithmetic_with_lambda_one_nth(experts):
    base = random_model(np.random.default_rng(1), "normal")
    vectors = random_task_vectors(2, experts, "normal")
    averaged = apply_task_vector(base, get_method("averaging").tau(vectors), 1.0)
    added = apply_task_vector(base, get_method("task_arithmetic").tau(vectors), 1 / experts)
    for name in base:
        torch.testing.assert_close(averaged[name], added[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", SWEPT)
def test_lambda_zero_is_the_base(method):
    base = random_model(np.random.default_rng(1), "normal")
    vectors = random_task_vectors(2, 3, "normal")
    tau = get_method(method).tau(vectors, seed=0, base=base, **options(method, vectors))
    assert flat(apply_task_vector(base, tau, 0.0)).tobytes() == flat(base).tobytes()


@pytest.mark.parametrize("method", [*(name for name in SEVERAL if name != "iso_c"), "slerp"])
def test_one_expert_at_lambda_one_and_full_density_is_the_expert(method):
    rng = np.random.default_rng(3)
    base, expert = random_model(rng, "normal"), random_model(rng, "normal")
    settings = {"t": 1.0} if method == "slerp" else FULL.get(method, {})
    vectors = {"only": task_vector(expert, base)}
    settings = options(method, vectors) | settings
    tau = get_method(method).tau(vectors, seed=0, base=base, **settings)
    merged = apply_task_vector(base, tau, 1.0)
    for name in base:
        torch.testing.assert_close(merged[name], expert[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("dare", "plain"), [("dare_ties", "ties"), ("dare_linear", "task_arithmetic")]
)
def test_dare_without_drops_is_the_method_after_it(dare, plain):
    vectors = random_task_vectors(4, 4, "grid")
    dropped = get_method(dare).tau(vectors, seed=5, density=1)
    kept = get_method(plain).tau(vectors, **FULL.get(plain, {}))
    assert all(torch.equal(dropped[name], kept[name]) for name in SHAPES)


def test_breadcrumbs_of_full_density_are_task_arithmetic():
    vectors = random_task_vectors(4, 4, "normal")
    crumbs = get_method("breadcrumbs").tau(vectors, density=1, outliers=0.2)
    added = get_method("task_arithmetic").tau(vectors)
    assert all(torch.equal(crumbs[name], added[name]) for name in SHAPES)


def test_breadcrumbs_without_outliers_are_the_trimmed_sum():
    vectors = random_task_vectors(4, 1, "normal")
    crumbs = get_method("breadcrumbs").tau(vectors, density=0.3, outliers=0)
    trimmed = get_method("ties").tau(vectors, density=0.3, trim_scope="tensor")
    assert all(torch.equal(crumbs[name], trimmed[name]) for name in SHAPES)


def test_breadcrumbs_keep_the_density_and_remove_the_largest():
    delta = torch.arange(1.0, 101.0)
    tau = get_method("breadcrumbs").tau({"a": {"w": delta}}, density=0.2, outliers=0.1)["w"]
    assert tau.nonzero().flatten().tolist() == list(range(70, 90))


def test_trimming_after_dare_at_these_densities_would_remove_nothing():
    vectors = random_task_vectors(4, 3, "normal", {"w": (2000,), "norm": (3,)})
    for density in (0.1, 0.2):
        dare = get_method("dare_ties").tau(vectors, seed=1, density=density)
        one = {
            name: get_method("dare_ties").tau({name: vectors[name]}, seed=1, density=density)
            for name in vectors
        }
        # A density at which every remaining entry is certainly kept.
        after = get_method("ties").tau(one, density=density + 0.1)
        assert all(torch.equal(dare[name], after[name]) for name in dare)


def test_equal_experts_merge_to_themselves():
    delta = random_model(np.random.default_rng(2), "normal")
    vectors = {name: delta for name in ("a", "b", "c")}
    for method in ("averaging", "model_stock", "emr", "ties"):
        tau = get_method(method).tau(vectors, **FULL.get(method, {}))
        for name in SHAPES:
            torch.testing.assert_close(tau[name], delta[name], rtol=1e-6, atol=1e-7)


def test_slerp_begins_and_ends_at_its_models():
    base = random_model(np.random.default_rng(6), "normal")
    vectors = random_task_vectors(7, 2, "normal")
    for t, expert in ((0.0, "expert0"), (1.0, "expert1")):
        merged = apply_task_vector(base, get_method("slerp").tau(vectors, base=base, t=t), 1.0)
        for name in base:
            weights = base[name] + vectors[expert][name]
            torch.testing.assert_close(merged[name], weights, rtol=1e-6, atol=1e-6)


def test_slerp_turns_by_equal_angles_and_keeps_the_length():
    base = {"w": torch.zeros(2)}
    vectors = {"a": {"w": torch.tensor([3.0, 0.0])}, "b": {"w": torch.tensor([0.0, 3.0])}}
    tau = get_method("slerp").tau(vectors, base=base, t=1 / 3)["w"]
    angle = math.pi / 6
    torch.testing.assert_close(tau, 3 * torch.tensor([math.cos(angle), math.sin(angle)]))


def test_model_stock_of_two_moves_to_the_base_by_their_angle():
    one, two = torch.tensor([2.0, 0.0]), torch.tensor([1.0, math.sqrt(3)])  # cosine 1/2
    tau = get_method("model_stock").tau({"a": {"w": one}, "b": {"w": two}})["w"]
    torch.testing.assert_close(tau, (one + two) / 2 * (2 * 0.5 / 1.5))


@pytest.mark.parametrize("others", [(-1.0,), (-1.0, 1.0, -1.0)])
def test_model_stock_of_experts_that_cancel_out_is_the_base(others):
    delta = torch.tensor([0.3, -0.7, 0.1])
    vectors = {f"e{i}": {"w": delta * sign} for i, sign in enumerate((1.0, *others))}
    assert get_method("model_stock").tau(vectors)["w"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("method", METHODS)
def test_order_of_experts_changes_no_bit(method):
    vectors = random_task_vectors(6, number_of_experts(method), "normal")
    base = random_model(np.random.default_rng(1), "normal")
    results = [
        get_method(method).tau(
            {n: vectors[n] for n in order}, base=base, seed=7, **options(method, vectors)
        )
        for order in permutations(vectors)
    ]
    assert len({flat(tau).tobytes() for tau in results}) == 1


@pytest.mark.parametrize("method", METHODS)
def test_inputs_are_left_untouched(method):
    vectors = random_task_vectors(8, number_of_experts(method), "normal")
    base = random_model(np.random.default_rng(1), "normal")
    before = {name: flat(vector).tobytes() for name, vector in vectors.items()}
    start = flat(base).tobytes()
    tau = get_method(method).tau(vectors, seed=7, base=base, **options(method, vectors))
    for tensor in tau.values():
        tensor.fill_(9)  # the result is nobody else's memory
    assert before == {name: flat(vector).tobytes() for name, vector in vectors.items()}
    assert start == flat(base).tobytes()


def test_a_sum_of_exactly_zero_elects_the_positive_sign():
    vectors = {"a": {"w": torch.tensor([2.0, -1.0])}, "b": {"w": torch.tensor([-2.0, 1.0])}}
    for method in ("ties", "emr"):
        assert get_method(method).tau(vectors, **FULL.get(method, {}))["w"].tolist() == [2.0, 1.0]


def test_mean_counts_only_experts_that_agree_and_are_not_trimmed():
    vectors = {
        "a": {"w": torch.tensor([4.0, 0.0])},
        "b": {"w": torch.tensor([2.0, 0.0])},
        "c": {"w": torch.tensor([-1.0, 0.0])},
        "d": {"w": torch.tensor([0.0, 0.0])},
    }
    ties = get_method("ties")
    assert ties.tau(vectors, density=1)["w"].tolist() == [3.0, 0.0]
    assert ties.tau(vectors, density=1, aggregate="sum")["w"].tolist() == [6.0, 0.0]


@pytest.mark.parametrize(
    ("elements", "density", "kept"),
    [(10, 0.2, 2), (11, 0.2, 3), (30, 0.1, 3), (1, 0.1, 1), (3, 1.0, 3), (7, 1e-9, 1), (0, 0.5, 0)],
)
def test_count_to_keep_rounds_up(elements, density, kept):
    assert count_to_keep(elements, density) == kept


def test_count_to_keep_rounds_down_as_public_packages_do():
    for elements, density in ((10, 0.2), (11, 0.2), (100, 0.29), (4, 0.2), (7, 1.0), (0, 0.5)):
        assert count_to_keep(elements, density, "down") == int(density * elements)
    assert count_to_keep(4, 0.2, "at_least_one") == 1
    assert count_to_keep(0, 0.2, "at_least_one") == 0
    assert count_to_keep(5, 0) == count_to_keep(5, 0, "down") == 0
    for share in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="must be in"):
            count_to_keep(5, share)


def threshold(tensors, density, rounding="up"):
    return thresholds_of(tensors, [(density, rounding)])[0]


def test_threshold_keeps_ties_and_spans_all_tensors():
    tensors = [torch.tensor([5.0, -3.0, 3.0]), torch.tensor([[1.0, 0.0], [-3.0, 2.0]])]
    limit = threshold(tensors, 2 / 7)
    assert limit == 3.0
    assert zero_below(tensors[0], limit).tolist() == [5.0, -3.0, 3.0]
    assert zero_below(tensors[1], limit).tolist() == [[0.0, 0.0], [-3.0, 0.0]]


def test_threshold_of_everything_and_of_nothing():
    values = torch.tensor([1.0, -2.0])
    assert zero_below(values, threshold([values], 1.0)).tolist() == [1.0, -2.0]
    assert zero_below(values, threshold([values], 0.4, "down")).tolist() == [0.0, 0.0]
    assert threshold([values], 0.4, "at_least_one") == 2.0


@pytest.mark.parametrize("kind", ["normal", "grid", "tiny", "subnormal", "wide"])
def test_threshold_is_that_of_a_complete_sort(kind):
    rng = np.random.default_rng(0)
    values = rng.normal(size=3001).astype(np.float32)
    if kind == "grid":
        values = rng.integers(-3, 4, 3001).astype(np.float32) / 8
    elif kind in ("tiny", "subnormal"):
        values *= np.float32(1e-30 if kind == "tiny" else 1e-40)
    elif kind == "wide":
        values *= np.float32(10) ** rng.integers(-30, 30, 3001).astype(np.float32)
    blocks = [torch.from_numpy(part) for part in np.array_split(values, 4)]
    shares = [(d, "up") for d in (0.001, 0.1, 0.2, 0.777, 1.0)]
    for (density, _), limit in zip(shares, thresholds_of(blocks, shares), strict=True):
        kept = np.concatenate([zero_below(block, limit).numpy() for block in blocks])
        mask = largest(values, count_to_keep(3001, density))
        assert np.array_equal(kept, np.where(mask, values, 0))


def test_histograms_of_threads_add_up():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=999).astype(np.float32))
    parts = [CoarseHistogram(), CoarseHistogram()]
    for number, block in enumerate(values.split(100)):
        parts[number % 2].add(block)
    parts[0].merge(parts[1])
    rank = count_to_keep(999, 0.2)
    found = parts[0].find(rank)
    second = [FineHistogram([found]), FineHistogram([found])]
    for number, block in enumerate(values.split(70)):
        second[number % 2].add(block)
    second[0].merge(second[1])
    assert second[0].value(rank) == threshold([values], 0.2)


def test_no_expert_is_an_error():
    for name in METHODS:
        with pytest.raises(ValueError, match="no expert|merges . or more experts|experts, not 0"):
            get_method(name).tau({}, seed=0, **HALF.get(name, {}))


@pytest.mark.parametrize(("name", "number"), [("slerp", 3), ("model_stock", 1)])
def test_too_few_and_too_many_experts_are_an_error(name, number):
    with pytest.raises(ValueError, match=f"{name} merges .* not {number}"):
        get_method(name).tau(random_task_vectors(0, number, "grid"))


def test_experts_with_different_tensors_are_an_error():
    vectors = {"a": {"w": torch.ones(2)}, "b": {"w": torch.ones(3)}}
    with pytest.raises(ValueError, match=r"b: tensor w has shape \(3,\), but \(2,\) in a"):
        get_method("averaging").tau(vectors)
