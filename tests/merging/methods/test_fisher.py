"""Fisher-weighted averaging: its identities (Matena and Raffel, 2022)."""

import numpy as np
import pytest
import torch
from merging_oracle import SHAPES, random_fisher, random_model, random_task_vectors

from mergescale.merging.registry import get_method

FISHER = get_method("fisher")
VECTORS = random_task_vectors(3, 3, "normal")


def tau(fisher, vectors=VECTORS, **options):
    return FISHER.tau(vectors, statistics={"fisher": fisher}, **options)


def constant(value, vectors=VECTORS):
    return {
        expert: {name: torch.full_like(delta, value) for name, delta in vector.items()}
        for expert, vector in vectors.items()
    }


def test_equal_information_is_averaging():
    shared = random_fisher(0, VECTORS)["expert0"]
    merged = tau(dict.fromkeys(VECTORS, shared))
    expected = get_method("averaging").tau(VECTORS)
    for name in SHAPES:
        torch.testing.assert_close(merged[name], expected[name], rtol=1e-6, atol=1e-6)


def test_weights_count_as_information_does():
    weights = {"expert0": 2.0, "expert1": 1.0, "expert2": 1.0}
    information = {e: constant(0.25 * weights[e])[e] for e in VECTORS}
    one, other = tau(constant(0.25), weights=weights), tau(information)
    for name in SHAPES:
        torch.testing.assert_close(one[name], other[name], rtol=1e-6, atol=1e-6)


def test_a_common_scale_is_irrelevant_above_the_floor():
    information = {e: {n: f.clamp(min=1e-3) for n, f in of.items()}
                   for e, of in random_fisher(0, VECTORS).items()}  # fmt: skip
    scaled = {e: {n: f / 64 for n, f in of.items()} for e, of in information.items()}
    one, other = tau(information), tau(scaled)
    for name in SHAPES:
        torch.testing.assert_close(one[name], other[name], rtol=1e-5, atol=1e-6)


def test_where_only_one_expert_has_information_it_is_that_expert():
    information = constant(0.0)
    information["expert1"] = constant(1.0)["expert1"]
    merged = tau(information, floor=1e-12)
    for name in SHAPES:
        torch.testing.assert_close(merged[name], VECTORS["expert1"][name], rtol=1e-5, atol=1e-6)


def test_without_any_information_the_floor_makes_it_an_average():
    merged, expected = tau(constant(0.0)), get_method("averaging").tau(VECTORS)
    for name in SHAPES:
        torch.testing.assert_close(merged[name], expected[name], rtol=1e-6, atol=1e-6)


def test_each_entry_lies_between_the_experts():
    merged = tau(random_fisher(4, VECTORS))
    for name in SHAPES:
        rows = torch.stack([vector[name] for vector in VECTORS.values()])
        assert (merged[name] <= rows.amax(0) + 1e-6).all()
        assert (merged[name] >= rows.amin(0) - 1e-6).all()


def test_merging_does_not_depend_on_the_base():
    base = random_model(np.random.default_rng(0), "normal")
    information = random_fisher(0, VECTORS)
    one, other = tau(information), tau(information, base=base)
    assert all(torch.equal(one[name], other[name]) for name in SHAPES)


@pytest.mark.parametrize(
    ("statistics", "message"),
    [
        (None, "fisher needs fisher statistics of expert0, expert1, expert2; pass statistics="),
        ({"fisher": {"expert0": {}}}, "fisher needs fisher statistics of expert1, expert2"),
        ({"fisher": dict.fromkeys(VECTORS, {})}, "tensor embed must be .11, 4., is no such tensor"),
        (
            {"fisher": dict.fromkeys(VECTORS, dict.fromkeys(SHAPES, torch.ones(2)))},
            "tensor embed must be .11, 4., is .2,.",
        ),
    ],
)
def test_missing_statistics_are_named(statistics, message):
    with pytest.raises(ValueError, match=message):
        FISHER.tau(VECTORS, statistics=statistics)
