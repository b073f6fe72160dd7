"""DARE's masks: reproducible, independent of chunks, and unbiased."""

import numpy as np
import pytest
import torch

from mergescale.merging.random_mask import drop_and_rescale, keep_mask


def test_mask_does_not_depend_on_chunks():
    whole = keep_mask(1, "sentiment", "w", 0, 1000, 0.8)
    rng = np.random.default_rng(0)
    for _ in range(20):
        cuts = [0, *sorted(rng.integers(0, 1001, 9)), 1000]
        chunks = [
            keep_mask(1, "sentiment", "w", int(a), int(b), 0.8)
            for a, b in zip(cuts, cuts[1:], strict=False)
        ]
        assert np.array_equal(np.concatenate(chunks), whole)


def test_mask_far_into_a_tensor_needs_no_mask_before_it():
    start = 2**40 + 3
    whole = keep_mask(1, "e", "w", start, start + 50, 0.5)
    assert np.array_equal(whole[20:], keep_mask(1, "e", "w", start + 20, start + 50, 0.5))


def test_mask_is_the_same_on_every_machine_and_release():
    mask = keep_mask(1, "sentiment", "model.embed_tokens.weight", 0, 32, 0.5)
    assert "".join(map(str, mask.astype(int))) == "00000101101000000000001000101101"


@pytest.mark.parametrize("other", [(2, "e", "w"), (1, "f", "w"), (1, "e", "v"), (1, "ew", "")])
def test_mask_depends_on_seed_expert_and_tensor(other):
    mine = keep_mask(1, "e", "w", 0, 256, 0.5)
    assert not np.array_equal(mine, keep_mask(*other, 0, 256, 0.5))


def test_extreme_rates():
    assert keep_mask(0, "e", "w", 0, 1000, 0).all()
    assert keep_mask(0, "e", "w", 5, 5, 0.5).shape == (0,)
    for rate in (1, 1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match="from 0 to below 1"):
            keep_mask(0, "e", "w", 0, 10, rate)


@pytest.mark.parametrize("drop", [0.1, 0.5, 0.8, 0.9])
def test_share_kept_and_independence_of_neighbours(drop):
    mask = keep_mask(3, "e", "w", 0, 400_000, drop)
    keep = 1 - drop
    sigma = (keep * drop / mask.size) ** 0.5
    assert abs(mask.mean() - keep) < 5 * sigma
    for lag in (1, 2, 4, 8):
        both = (mask[lag:] & mask[:-lag]).mean()
        assert abs(both - keep**2) < 5 * (keep**2 * (1 - keep**2) / mask.size) ** 0.5 * 2


def test_kept_at_a_high_rate_is_kept_at_a_lower_one():
    assert not (keep_mask(0, "e", "w", 0, 999, 0.9) & ~keep_mask(0, "e", "w", 0, 999, 0.8)).any()


def test_dropping_and_rescaling_is_unbiased():
    delta = torch.linspace(-1, 1, 32).view(4, 8)
    draws = torch.stack([drop_and_rescale(delta, 0.8, seed, "e", "w") for seed in range(4000)])
    # The standard error of an entry is |delta| * sqrt(p / (1 - p) / draws) = 0.03 |delta|.
    assert ((draws.mean(0) - delta).abs() <= 5 * 0.032 * delta.abs() + 1e-7).all()


def test_kept_entries_are_divided_by_the_rate_of_keeping():
    result = drop_and_rescale(torch.full((1000,), 3.0), 1 - 0.2, 0, "e", "w")
    assert set(result.tolist()) == {0.0, 15.0}
