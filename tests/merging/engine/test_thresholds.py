"""Thresholds over files: exact, whether a sample of the blocks tells where they lie or misleads."""

import numpy as np
import pytest
import torch
from merging_oracle import write_model

from mergescale.checkpoints.blocks import BLOCK
from mergescale.checkpoints.reader import CheckpointReader
from mergescale.merging.engine import passes as look
from mergescale.merging.engine import thresholds as streaming_thresholds
from mergescale.merging.engine.engine import Engine
from mergescale.merging.engine.thresholds import thresholds
from mergescale.merging.ops.quantile import find_cutoff
from mergescale.merging.ops.trim import Cutoff
from mergescale.merging.statistics import ALL, FIRST, MagnitudeThreshold

BLOCKS = 8  # of which every second one, from the second on, is the sample
SHARES = {MagnitudeThreshold(0.2), MagnitudeThreshold(0.2, rounding="down")}


def misleading(random):
    """Larger where the sample looks, by far."""
    values = random.normal(size=(BLOCKS, BLOCK))
    values[1::2] *= 100
    return values


KINDS = {
    "normal": lambda random: random.normal(size=(BLOCKS, BLOCK)),
    "few magnitudes": lambda random: random.integers(-3, 4, (BLOCKS, BLOCK)) / 8,
    "mostly zeros": lambda random: (
        random.normal(size=(BLOCKS, BLOCK)) * (random.random((BLOCKS, BLOCK)) > 0.95)
    ),
    "no zeros in the sample": lambda random: np.repeat([[1e-30], [1.0]] * (BLOCKS // 2), BLOCK, 1),
    "misleading": misleading,
}


@pytest.fixture(params=[False, True], ids=["torch", "loops"])
def engine(request, tmp_path, monkeypatch):
    """An engine for an expert with these entries over a base of zeros, and the looks it took."""
    odd = [(0, number * BLOCK) for number in range(1, BLOCKS, 2)]
    monkeypatch.setattr(look, "sample_of", lambda lengths: odd)

    def make(values):
        values = np.append(values, values[0, :100])  # and a piece that is no whole block
        weights = {"w": torch.from_numpy(values.astype(np.float32))}
        folders = [
            write_model(tmp_path / "base", {"w": torch.zeros_like(weights["w"])}),
            write_model(tmp_path / "expert", weights),
        ]
        base, expert = (CheckpointReader.open(folder) for folder in folders)
        return Engine(
            base, {"expert": expert}, threads=2, memory=None, compiled=request.param
        ), weights["w"]

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_thresholds_are_those_of_a_complete_look(engine, kind):
    merges, values = engine(KINDS[kind](np.random.default_rng(0)))
    read = []
    found = thresholds(merges, {"expert": SHARES}, ["w"], read.append)
    for wish in SHARES:
        assert found["expert", wish].threshold == find_cutoff({"w": values}, wish).threshold
        count = int((values.abs() >= found["expert", wish].threshold).sum())
        assert found["expert", wish].num_kept == min(count, values.count_nonzero())
    looks = sum(read) / (len(values) * 8)
    # The sample and one look; another where it misled.
    assert looks == pytest.approx(2.5 if "mis" in kind else 1.5, rel=1e-3)


def test_what_needs_no_look_takes_none(engine):
    merges, values = engine(KINDS["normal"](np.random.default_rng(0)))
    read = []
    wishes = {MagnitudeThreshold(1.0, ties=at) for at in (ALL, FIRST)} | {
        MagnitudeThreshold(0.0)
    }
    found = thresholds(merges, {"expert": wishes}, ["w"], read.append)
    assert found == {
        ("expert", wish): (
            Cutoff(0.0, num_kept=len(values)) if wish.density else Cutoff(float("inf"), num_kept=0)
        )
        for wish in wishes
    }
    assert not read


def test_only_what_a_sample_misled_is_looked_at_again(engine):
    values = KINDS["misleading"](np.random.default_rng(0))
    values[:, : BLOCK // 10] = 1e6  # a tenth of the entries, in each block
    merges, whole = engine(values)
    read = []
    wishes = [MagnitudeThreshold(0.05), MagnitudeThreshold(0.5)]
    found = thresholds(merges, {"expert": set(wishes)}, ["w"], read.append)
    for wish in wishes:
        assert found["expert", wish].threshold == find_cutoff({"w": whole}, wish).threshold
    assert found["expert", wishes[0]].threshold == 1e6
    assert sum(read) / (len(whole) * 8) == pytest.approx(2.5, rel=1e-3)


def test_what_a_sample_leaves_open_is_found_by_further_looks(engine, monkeypatch):
    """Half of all lie in so many bins that a guess takes none of them; then few are counted."""
    monkeypatch.setattr(streaming_thresholds, "MAX_BINS", 2)
    merges, values = engine(KINDS["normal"](np.random.default_rng(0)))
    wishes = [MagnitudeThreshold(density) for density in (0.1, 0.3, 0.5, 0.7, 0.9)]
    read = []
    found = thresholds(merges, {"expert": set(wishes)}, ["w"], read.append)
    for wish in wishes:
        assert found["expert", wish].threshold == find_cutoff({"w": values}, wish).threshold
    # The sample; both levels of all, of which nothing was guessed; two bins at a time.
    assert sum(read) / (len(values) * 8) == pytest.approx(0.5 + 1 + 3, rel=1e-3)


def test_a_small_model_is_looked_at_twice(engine, monkeypatch):
    monkeypatch.undo()
    merges, values = engine(KINDS["normal"](np.random.default_rng(0)))
    read = []
    thresholds(merges, {"expert": SHARES}, ["w"], read.append)
    assert sum(read) == 2 * len(values) * 8


def test_a_sample_is_a_block_of_every_sixteen_never_in_step():
    lengths = [3 * BLOCK, 7, 0, 2000 * BLOCK + 5, 40 * BLOCK]
    chosen = look.sample_of(lengths)
    before = np.cumsum([0, *(-(-length // BLOCK) for length in lengths)])
    numbers = [int(before[which]) + start // BLOCK for which, start in chosen]
    assert [number // look.SAMPLED for number in numbers] == list(range(len(numbers)))
    assert {number % look.SAMPLED for number in numbers} == set(range(look.SAMPLED))
    assert all(start < lengths[which] for which, start in chosen)
    whole = sum(min(BLOCK, lengths[which] - start) for which, start in chosen)
    assert look.sampled_share(lengths) == whole / sum(lengths)
    assert look.sample_of([31 * look.SAMPLED * BLOCK]) == []
    assert look.sampled_share([]) == 0


def test_a_sample_that_misleads_in_two_ways_takes_one_look_more(engine):
    """What a first look tells does not help: large in the sample, and of another shape there."""
    random = np.random.default_rng(0)
    values = misleading(random)
    values[1::2] **= 3
    merges, whole = engine(values)
    wishes = {MagnitudeThreshold(density) for density in (0.02, 0.2, 0.6)}
    read = []
    found = thresholds(merges, {"expert": wishes}, ["w"], read.append)
    for wish in wishes:
        assert found["expert", wish].threshold == find_cutoff({"w": whole}, wish).threshold
    assert 2.4 < sum(read) / (len(whole) * 8) < 3.6
