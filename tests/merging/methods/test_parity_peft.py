"""Preset `peft` against the functions of the installed peft package.

Values have no ties: among entries of one magnitude peft keeps arbitrary ones. Its disjoint mean
does not see the experts' weights: with elections only a common factor, our lambda, is comparable.
"""

import numpy as np
import pytest
import torch
from merging_oracle import random_task_vectors
from peft.utils import merge_utils

from mergescale.merging.ops.mask import bernoulli_mask
from mergescale.merging.recipes.presets import preset_parameters
from mergescale.merging.registry import get_method

SHAPES = {"embed": (37, 8), "layer.weight": (10, 10), "norm": (5,), "one": (1, 1), "scalar": ()}
DENSITIES = (0.1, 0.2, 0.29, 0.5, 0.77, 1.0)
SEED = 11
# Both add up in fp32, in another order: a few roundings of entries of order 1, times 1 / density.
CLOSE = {"rtol": 1e-6, "atol": 1e-6}

pytestmark = pytest.mark.filterwarnings("ignore:The density 1.0 is greater than or equal to 1")


def ours(name, vectors, **settings):
    method = get_method(name)
    seed = SEED if method.stochastic else None
    return method.tau(vectors, seed=seed, **preset_parameters("peft", method) | settings)


def theirs(name, vectors, weights, tensor, *density):
    parts = [vectors[expert][tensor] for expert in sorted(vectors)]
    return getattr(merge_utils, name)(parts, torch.tensor(weights), *density)


def pairs(experts):
    return [random_task_vectors(seed, experts, "normal", SHAPES) for seed in range(3)]


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.5, -0.3, 1.7)])
def test_task_arithmetic(weights):
    for vectors in pairs(3):
        tau = ours(
            "task_arithmetic", vectors, weights=dict(zip(sorted(vectors), weights, strict=True))
        )
        for tensor in SHAPES:
            expected = theirs("task_arithmetic", vectors, weights, tensor)
            torch.testing.assert_close(tau[tensor], expected, **CLOSE)


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("experts", [1, 2, 5])
def test_ties(experts, density):
    lam = 0.3
    for vectors in pairs(experts):
        tau = ours("ties", vectors, density=density)
        for tensor in SHAPES:
            expected = theirs("ties", vectors, [lam] * experts, tensor, density)
            torch.testing.assert_close(tau[tensor] * lam, expected, **CLOSE)


@pytest.fixture
def same_masks(monkeypatch):
    """Makes peft draw our masks: a function of the tensor, then one draw an expert."""

    def of(vectors, tensor, density):
        masks = iter(
            [
                bernoulli_mask(
                    SEED, expert, tensor, 0, vectors[expert][tensor].numel(), round(1 - density, 10)
                )
                for expert in sorted(vectors)
            ]
        )

        def bernoulli(probabilities):
            assert (probabilities == density).all()
            mask = torch.from_numpy(np.ascontiguousarray(next(masks)))
            return mask.view(probabilities.shape).to(probabilities.dtype)

        monkeypatch.setattr(merge_utils.torch, "bernoulli", bernoulli)

    return of


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("name", ["dare_linear", "dare_ties"])
def test_dare_with_the_same_masks(name, density, same_masks):
    lam = 0.3
    for vectors in pairs(3):
        tau = ours(name, vectors, density=density)
        for tensor in SHAPES:
            same_masks(vectors, tensor, density)
            expected = theirs(name, vectors, [lam] * 3, tensor, density)
            torch.testing.assert_close(tau[tensor] * lam, expected, **CLOSE)


def test_dare_linear_with_weights(same_masks):
    weights = (0.5, -0.3, 1.7)
    for vectors in pairs(3):
        named = dict(zip(sorted(vectors), weights, strict=True))
        tau = ours("dare_linear", vectors, density=0.5, weights=named)
        for tensor in SHAPES:
            same_masks(vectors, tensor, 0.5)
            expected = theirs("dare_linear", vectors, weights, tensor, 0.5)
            torch.testing.assert_close(tau[tensor], expected, **CLOSE)
