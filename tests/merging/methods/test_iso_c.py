"""Iso-C: its identities (Marczak et al., 2025)."""

import numpy as np
import pytest
import torch
from merging_oracle import random_task_vectors

from mergescale.merging.methods.iso_c import flatten_spectrum
from mergescale.merging.registry import get_method

SHAPES = {"wide": (5, 9), "tall": (9, 5), "square": (6, 6), "norm": (5,), "cube": (2, 3, 4)}
MATRICES = ("wide", "tall", "square")
ISO_C = get_method("iso_c")
VECTORS = random_task_vectors(3, 4, "normal", SHAPES)
TAU = ISO_C.tau(VECTORS)


def summed(name):
    return sum(vector[name].double() for vector in VECTORS.values())


@pytest.mark.parametrize("name", MATRICES)
def test_all_singular_values_are_equal_and_the_nuclear_norm_is_kept(name):
    sigma = torch.linalg.svdvals(TAU[name].double())
    expected = torch.linalg.svdvals(summed(name))
    torch.testing.assert_close(sigma, torch.full_like(sigma, float(expected.mean())), rtol=1e-6,
                               atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("name", MATRICES)
def test_singular_vectors_are_those_of_the_sum(name):
    """The product with the sum's transpose is symmetric and positive: the polar factor's mark."""
    product = TAU[name].double() @ summed(name).T
    torch.testing.assert_close(product, product.T, rtol=1e-5, atol=1e-5)
    assert torch.linalg.eigvalsh((product + product.T) / 2).min() > -1e-5


@pytest.mark.parametrize("name", ["norm", "cube"])
def test_other_tensors_are_averaged(name):
    torch.testing.assert_close(TAU[name].double(), summed(name) / 4, rtol=1e-6, atol=1e-6)


def test_it_is_homogeneous_of_degree_1():
    scaled = {e: {n: 3 * t for n, t in vector.items()} for e, vector in VECTORS.items()}
    for name, tau in ISO_C.tau(scaled).items():
        torch.testing.assert_close(tau, 3 * TAU[name], rtol=1e-5, atol=1e-5)


def test_rotations_of_rows_and_columns_rotate_the_merge():
    rng = np.random.default_rng(0)
    left = torch.linalg.qr(torch.tensor(rng.normal(size=(5, 5)))).Q
    right = torch.linalg.qr(torch.tensor(rng.normal(size=(9, 9)))).Q
    matrix = torch.tensor(rng.normal(size=(5, 9)))
    rotated = flatten_spectrum(left @ matrix @ right)
    torch.testing.assert_close(rotated, left @ flatten_spectrum(matrix) @ right)


def test_a_single_expert_is_flattened_too():
    tau = ISO_C.tau({"a": {"w": torch.diag(torch.tensor([3.0, 1.0]))}})["w"]
    torch.testing.assert_close(tau, 2 * torch.eye(2))


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_directions_without_any_weight_stay_so(rank):
    """Whichever singular vectors the decomposition chooses for singular values of 0."""
    rng = np.random.default_rng(rank)
    matrix = torch.tensor(rng.normal(size=(6, rank)) @ rng.normal(size=(rank, 4)))
    flat = flatten_spectrum(matrix)
    sigma = torch.linalg.svdvals(flat)
    expected = torch.linalg.svdvals(matrix)[:rank]
    torch.testing.assert_close(sigma.sum(), expected.sum())
    assert int((sigma > 1e-9).sum()) == rank


def test_experts_that_cancel_out_merge_to_nothing():
    delta = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert not ISO_C.tau({"a": {"w": delta}, "b": {"w": -delta}})["w"].any()
