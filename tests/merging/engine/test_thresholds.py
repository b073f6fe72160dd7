"""Thresholds over files are exact, whether or not the sample of blocks is representative."""

import numpy as np
import pytest
import torch
from merging_oracle import write_model

from mergescale.checkpoints.blocks import BLOCK
from mergescale.checkpoints.reader import CheckpointReader
from mergescale.merging.engine import passes
from mergescale.merging.engine import thresholds as thresholds_module
from mergescale.merging.engine.engine import Engine
from mergescale.merging.engine.thresholds import compute_cutoffs
from mergescale.merging.ops.quantile import find_cutoff
from mergescale.merging.ops.trim import Cutoff
from mergescale.merging.statistics import ALL, FIRST, MagnitudeThreshold

BLOCKS = 8  # of which every second one, from the second on, is the sample
SHARES = {MagnitudeThreshold(0.2), MagnitudeThreshold(0.2, rounding="down")}


def misleading(random):
    """Much larger in the sampled blocks."""
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


@pytest.fixture(params=[False, True], ids=["torch", "kernels"])
def engine(request, tmp_path, monkeypatch):
    """Makes an engine for an expert with these entries over a base of zeros."""
    odd = [(0, number * BLOCK) for number in range(1, BLOCKS, 2)]
    monkeypatch.setattr(passes, "sample_blocks", lambda lengths: odd)

    def make(values):
        values = np.append(values, values[0, :100])  # and a last block that is not full
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
def test_thresholds_are_exact(engine, kind):
    engine_of_one, values = engine(KINDS[kind](np.random.default_rng(0)))
    read = []
    found = compute_cutoffs(engine_of_one.reader, {"expert": SHARES}, ["w"], read.append)
    for spec in SHARES:
        assert found["expert", spec].threshold == find_cutoff({"w": values}, spec).threshold
        count = int((values.abs() >= found["expert", spec].threshold).sum())
        assert found["expert", spec].num_kept == min(count, values.count_nonzero())
    num_passes = sum(read) / (len(values) * 8)
    # The sample and one pass; another one if it misled.
    assert num_passes == pytest.approx(2.5 if "mis" in kind else 1.5, rel=1e-3)


def test_trivial_thresholds_take_no_pass(engine):
    engine_of_one, values = engine(KINDS["normal"](np.random.default_rng(0)))
    read = []
    specs = {MagnitudeThreshold(1.0, ties=at) for at in (ALL, FIRST)} | {MagnitudeThreshold(0.0)}
    found = compute_cutoffs(engine_of_one.reader, {"expert": specs}, ["w"], read.append)
    assert found == {
        ("expert", spec): (
            Cutoff(0.0, num_kept=len(values)) if spec.density else Cutoff(float("inf"), num_kept=0)
        )
        for spec in specs
    }
    assert not read


def test_only_misled_thresholds_take_another_pass(engine):
    values = KINDS["misleading"](np.random.default_rng(0))
    values[:, : BLOCK // 10] = 1e6  # a tenth of the entries, in each block
    engine_of_one, whole = engine(values)
    read = []
    specs = [MagnitudeThreshold(0.05), MagnitudeThreshold(0.5)]
    found = compute_cutoffs(engine_of_one.reader, {"expert": set(specs)}, ["w"], read.append)
    for spec in specs:
        assert found["expert", spec].threshold == find_cutoff({"w": whole}, spec).threshold
    assert found["expert", specs[0]].threshold == 1e6
    assert sum(read) / (len(whole) * 8) == pytest.approx(2.5, rel=1e-3)


def test_more_bins_than_fit_one_pass_take_further_passes(engine, monkeypatch):
    """Half of all ranks may be in too many bins, so none is counted first; then two at a time."""
    monkeypatch.setattr(thresholds_module, "MAX_BINS", 2)
    engine_of_one, values = engine(KINDS["normal"](np.random.default_rng(0)))
    specs = [MagnitudeThreshold(density) for density in (0.1, 0.3, 0.5, 0.7, 0.9)]
    read = []
    found = compute_cutoffs(engine_of_one.reader, {"expert": set(specs)}, ["w"], read.append)
    for spec in specs:
        assert found["expert", spec].threshold == find_cutoff({"w": values}, spec).threshold
    # The sample; one pass that counts coarsely only; then two bins at a time.
    assert sum(read) / (len(values) * 8) == pytest.approx(0.5 + 1 + 3, rel=1e-3)


def test_a_small_model_takes_two_passes(engine, monkeypatch):
    monkeypatch.undo()
    engine_of_one, values = engine(KINDS["normal"](np.random.default_rng(0)))
    read = []
    compute_cutoffs(engine_of_one.reader, {"expert": SHARES}, ["w"], read.append)
    assert sum(read) == 2 * len(values) * 8


def test_the_sample_is_one_block_of_sixteen_at_varying_positions():
    lengths = [3 * BLOCK, 7, 0, 2000 * BLOCK + 5, 40 * BLOCK]
    chosen = passes.sample_blocks(lengths)
    before = np.cumsum([0, *(-(-length // BLOCK) for length in lengths)])
    numbers = [int(before[which]) + start // BLOCK for which, start in chosen]
    assert [number // passes.SAMPLED for number in numbers] == list(range(len(numbers)))
    assert {number % passes.SAMPLED for number in numbers} == set(range(passes.SAMPLED))
    assert all(start < lengths[which] for which, start in chosen)
    whole = sum(min(BLOCK, lengths[which] - start) for which, start in chosen)
    assert passes.sampled_fraction(lengths) == whole / sum(lengths)
    assert passes.sample_blocks([31 * passes.SAMPLED * BLOCK]) == []
    assert passes.sampled_fraction([]) == 0


def test_a_sample_that_misleads_twice_takes_one_pass_more(engine):
    """The correction after the first pass does not help: the sample has another distribution."""
    random = np.random.default_rng(0)
    values = misleading(random)
    values[1::2] **= 3
    engine_of_one, whole = engine(values)
    specs = {MagnitudeThreshold(density) for density in (0.02, 0.2, 0.6)}
    read = []
    found = compute_cutoffs(engine_of_one.reader, {"expert": specs}, ["w"], read.append)
    for spec in specs:
        assert found["expert", spec].threshold == find_cutoff({"w": whole}, spec).threshold
    assert 2.4 < sum(read) / (len(whole) * 8) < 3.6
