"""DARE's masks: reproducible, independent of chunks, and unbiased."""

from hashlib import sha256

import numpy as np
import pytest
import torch

from mergescale.merging.methods.registry import get_method
from mergescale.merging.random_mask import keep_mask, random_words


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


def philox(seed, expert, tensor, words):
    """The first words of numpy's generator under the key of a tensor."""
    key = sha256("\0".join((str(seed), expert, tensor)).encode()).digest()[:16]
    raw = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(-(-words // 2))
    return np.stack([raw & 0xFFFFFFFF, raw >> 32], axis=1).reshape(-1)[:words]


@pytest.mark.parametrize("name", [(0, "e", "w"), (7, "qa", "model.norm.weight"), (2**40, "", "x")])
def test_words_are_the_raw_output_of_philox(name):
    expected = philox(*name, 1001)
    assert np.array_equal(random_words(*name, 0, 1001), expected)
    for start, stop in ((0, 1), (1, 2), (7, 9), (8, 8), (993, 1001)):
        words = random_words(*name, start, stop)
        assert words.dtype == np.uint32 and np.array_equal(words, expected[start:stop])


def test_words_are_the_same_on_every_machine_and_release():
    name = (1, "sentiment", "model.embed_tokens.weight")
    assert random_words(*name, 0, 5).tolist() == [
        1548957175,
        1959971137,
        1243621947,
        1897443950,
        1512903099,
    ]
    far = 2**33 + 5
    assert random_words(*name, far, far + 4).tolist() == [
        700085690,
        972985987,
        918064491,
        1231451010,
    ]


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
