"""DARE's masks: reproducible, independent of blocks, and unbiased."""

from hashlib import sha256

import numpy as np
import pytest
import torch

from mergescale.merging.ops.mask import RandomNumbers, bernoulli_mask
from mergescale.merging.registry import get_method


def test_mask_does_not_depend_on_blocks():
    whole = bernoulli_mask(1, "sentiment", "w", 0, 1000, 0.8)
    rng = np.random.default_rng(0)
    for _ in range(20):
        cuts = [0, *sorted(rng.integers(0, 1001, 9)), 1000]
        chunks = [
            bernoulli_mask(1, "sentiment", "w", int(a), int(b), 0.8)
            for a, b in zip(cuts, cuts[1:], strict=False)
        ]
        assert np.array_equal(np.concatenate(chunks), whole)


def test_mask_far_into_a_tensor_needs_no_mask_before_it():
    start = 2**40 + 3
    whole = bernoulli_mask(1, "e", "w", start, start + 50, 0.5)
    assert np.array_equal(whole[20:], bernoulli_mask(1, "e", "w", start + 20, start + 50, 0.5))


def philox(name, halves):
    """The first 16-bit numbers of numpy's generator under the key of a name."""
    key = sha256("\0".join(name).encode()).digest()[:16]
    raw = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(-(-halves // 4))
    return np.stack([raw >> shift & 0xFFFF for shift in (0, 16, 32, 48)], 1).reshape(-1)[:halves]


@pytest.mark.parametrize("name", [(0, "e", "w"), (7, "qa", "model.norm.weight"), (2**40, "", "x")])
def test_numbers_are_the_raw_output_of_philox(name):
    seed, expert, tensor = name
    expected = philox((str(seed), expert, tensor), 1001)
    assert np.array_equal(RandomNumbers(*name, 0, 1001).upper, expected)
    for start, stop in ((0, 1), (1, 2), (15, 17), (8, 8), (993, 1001)):
        upper = RandomNumbers(*name, start, stop).upper
        assert upper.dtype == np.uint16 and np.array_equal(upper, expected[start:stop])
    lower = philox((str(seed), expert, tensor, "lower"), 40)
    assert RandomNumbers(*name, 0, 40).lower(np.arange(40)).tolist() == lower.tolist()


def test_an_entry_is_kept_if_its_number_is_at_least_the_drop_rate():
    numbers = RandomNumbers(5, "e", "w", 100, 1100)
    lower = numbers.lower(np.arange(100, 1100))
    whole = [int(high) << 16 | int(low) for high, low in zip(numbers.upper, lower, strict=True)]
    # At rates that are some entry's own number, or next to it, the lower half decides.
    for number in whole[:50]:
        for near in (number - 1, number, number + 1):
            expected = [each >= near for each in whole]
            assert numbers.mask(near / 2**32).tolist() == expected


def test_numbers_are_the_same_on_every_machine_and_release():
    name, far = (1, "sentiment", "model.embed_tokens.weight"), 2**33 + 5
    assert RandomNumbers(*name, 0, 5).upper.tolist() == [13815, 23635, 51521, 29906, 10811]
    assert RandomNumbers(*name, far, far + 4).upper.tolist() == [61116, 57214, 59076, 2719]
    assert RandomNumbers(*name, 0, 5).lower(np.array([0, far])).tolist() == [11960, 15286]


def test_mask_is_the_same_on_every_machine_and_release():
    mask = bernoulli_mask(1, "sentiment", "model.embed_tokens.weight", 0, 32, 0.5)
    assert "".join(map(str, mask.astype(int))) == "00100010000110110100110010001000"


@pytest.mark.parametrize("other", [(2, "e", "w"), (1, "f", "w"), (1, "e", "v"), (1, "ew", "")])
def test_mask_depends_on_seed_expert_and_tensor(other):
    mine = bernoulli_mask(1, "e", "w", 0, 256, 0.5)
    assert not np.array_equal(mine, bernoulli_mask(*other, 0, 256, 0.5))


def test_extreme_rates():
    assert bernoulli_mask(0, "e", "w", 0, 1000, 0).all()
    assert bernoulli_mask(0, "e", "w", 5, 5, 0.5).shape == (0,)
    for rate in (1, 1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match="must be in"):
            bernoulli_mask(0, "e", "w", 0, 10, rate)


@pytest.mark.parametrize("drop", [0.1, 0.5, 0.8, 0.9])
def test_keep_rate_and_independence_of_neighbors(drop):
    mask = bernoulli_mask(3, "e", "w", 0, 400_000, drop)
    keep = 1 - drop
    sigma = (keep * drop / mask.size) ** 0.5
    assert abs(mask.mean() - keep) < 5 * sigma
    for lag in (1, 2, 4, 8):
        both = (mask[lag:] & mask[:-lag]).mean()
        assert abs(both - keep**2) < 5 * (keep**2 * (1 - keep**2) / mask.size) ** 0.5 * 2


def test_kept_at_a_high_rate_is_kept_at_a_lower_one():
    kept_at_09, kept_at_08 = (bernoulli_mask(0, "e", "w", 0, 999, drop) for drop in (0.9, 0.8))
    assert not (kept_at_09 & ~kept_at_08).any()


def dare(delta, density, seed=0):
    return get_method("dare_linear").tau({"e": {"w": delta}}, seed=seed, density=density)["w"]


def test_dropping_and_rescaling_is_unbiased():
    delta = torch.linspace(-1, 1, 32).view(4, 8)
    draws = torch.stack([dare(delta, 0.2, seed) for seed in range(4000)])
    # The standard error of an entry is |delta| * sqrt(p / (1 - p) / draws) = 0.03 |delta|.
    assert ((draws.mean(0) - delta).abs() <= 5 * 0.032 * delta.abs() + 1e-7).all()


def test_kept_entries_are_divided_by_the_rate_of_keeping():
    assert set(dare(torch.full((1000,), 3.0), 0.2).tolist()) == {0.0, 15.0}


def test_a_draw_belongs_to_the_expert_whoever_else_takes_part():
    vectors = {name: {"w": torch.ones(500)} for name in ("a", "b", "c")}
    method = get_method("dare_linear")
    alone = [method.tau({n: v}, seed=1, density=0.5)["w"] for n, v in vectors.items()]
    assert torch.equal(method.tau(vectors, seed=1, density=0.5)["w"], sum(alone))
