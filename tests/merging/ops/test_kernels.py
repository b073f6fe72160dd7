"""Compiled kernels: bit for bit what torch computes, on numbers of every kind."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from engine_models import METHODS, contents, folders, of, wanted  # noqa: F401

from mergescale.merging.delta_block import check_tau
from mergescale.merging.engine import run as engine_run
from mergescale.merging.engine.engine import Engine
from mergescale.merging.engine.run import run_merges
from mergescale.merging.ops import mask as random_mask
from mergescale.merging.ops.cast import cast_output
from mergescale.merging.ops.elect import (
    MEAN,
    SUM,
    elect_signs,
    elect_signs_torch,
    materialize,
    materialize_all,
)
from mergescale.merging.ops.kernels import loading
from mergescale.merging.ops.kernels.deltas import from_bfloat16, from_float32
from mergescale.merging.ops.kernels.mask import keep
from mergescale.merging.ops.mask import RandomNumbers
from mergescale.merging.ops.quantile import CoarseHistogram, FineHistogram, count_equal
from mergescale.merging.ops.trim import SparseDelta
from mergescale.merging.ops.weighted_sum import times, weighted_sum, weighted_sum_numba

# No multiple of any block, and more than one of the largest.
SIZE = 5000 + 7
ODD = (0.0, -0.0, 1e-45, -1e-40, 3.4e38, -3.4e38)
NOT_FINITE = (float("inf"), float("-inf"), float("nan"))


@pytest.fixture(params=range(3))
def random(request):
    return torch.Generator().manual_seed(request.param)


def numbers(random, zeros=0.5):
    """Normal numbers, many of them 0 or equal to others, some at the ends of what fp32 holds."""
    values = torch.randn(SIZE, generator=random)
    values[torch.rand(SIZE, generator=random) < zeros] = 0
    values = (values * 64).round() / 64  # so that sums cancel and magnitudes tie
    values[: len(ODD)] = torch.tensor(ODD)
    return values[torch.randperm(SIZE, generator=random)].contiguous()


def same(one, other):
    """Equal bits, signs of zeros among them."""
    return np.array_equal(one.numpy().view(np.uint32), other.numpy().view(np.uint32))


@pytest.mark.parametrize("weights", [(1.0,) * 4, (1.0, 0.3, 2.0, 0.7), (1.0, -1.0, 0.5, 2.0)])
@pytest.mark.parametrize("aggregate", [MEAN, SUM])
@pytest.mark.parametrize("experts", [1, 2, 4])
@pytest.mark.parametrize(
    "left", ["all", "trimmed", "none", "dropped", "both", "first", "both first"]
)
def test_elections(random, left, experts, weights, aggregate):
    entries = []
    for _ in range(experts):
        more = {}
        if left in ("trimmed", "none"):
            more = {"threshold": 0.125 if left == "trimmed" else float("inf")}
        elif left in ("dropped", "both", "both first"):
            more = {"mask": (torch.rand(SIZE, generator=random) < 0.3).numpy(), "keep_rate": 0.3}
            more |= {"threshold": 0.125} if "both" in left else {}
        if "first" in left:
            more |= {"threshold": 0.125, "tie_end": SIZE // 3}
        entries.append(SparseDelta(numbers(random).clamp(-1e38, 1e38) / 8, **more))
    factors = weights[:experts]
    weighted = [times(e.materialize(), w) for e, w in zip(entries, factors, strict=True)]
    expected = elect_signs_torch(weighted, factors, aggregate)
    made = materialize_all([elect_signs(entries, factors, aggregate)])
    assert same(made[0], expected)
    assert bool(expected.any()) == (left != "none")


def test_elections_of_one_block(random):
    """Several at once, of other experts each; a tensor among them is returned as it is."""
    deltas = [numbers(random).clamp(-1e38, 1e38) for _ in range(4)]
    mask = (torch.rand(SIZE, generator=random) < 0.3).numpy()
    dropped = [SparseDelta(delta, mask=mask, keep_rate=0.3) for delta in deltas[1:]]
    made = [
        elect_signs([SparseDelta(delta, threshold=0.2) for delta in deltas], [1.0] * 4),
        deltas[0],
        elect_signs(dropped, [1.0] * 3, SUM),
        elect_signs([deltas[3], deltas[2]], [-1.0, 1.0]),
    ]
    one_by_one, at_once = [materialize(one) for one in made], materialize_all(made)
    assert at_once[1] is deltas[0]
    assert all(same(one, other) for one, other in zip(one_by_one, at_once, strict=True))


@pytest.mark.parametrize("weights", [(1.0,), (1.0,) * 3, (0.3, -2.0, 1.0, 0.0)])
def test_weighted_sums(random, weights):
    deltas = [numbers(random) for _ in weights]
    assert same(weighted_sum_numba(deltas, weights), weighted_sum(deltas, weights))


@pytest.mark.parametrize("other", [torch.zeros(4), torch.zeros(3).double(), torch.zeros(6)[::2]])
def test_vectors_that_a_sum_would_read_beyond_are_refused(other):
    with pytest.raises(ValueError, match="of one length"):
        weighted_sum_numba([torch.zeros(3), other], (1.0, 1.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_task_vectors_and_their_largest_magnitude(random, dtype):
    base = numbers(random)
    values = numbers(random).clamp(-1e38, 1e38).to(dtype)
    loop = from_bfloat16 if dtype == torch.bfloat16 else from_float32
    raw = values.view(torch.uint16) if dtype == torch.bfloat16 else values
    made = torch.empty(SIZE)

    def largest():
        bits = loop(raw.numpy(), base.numpy(), made.numpy())
        return np.uint32(bits).view(np.float32)

    found, expected = largest(), values.float() - base
    assert same(made, expected) and found == expected.abs().max()
    for bad in NOT_FINITE:
        values[SIZE // 2] = bad
        assert not np.isfinite(largest())


def test_histograms(random):
    values = numbers(random)
    by_torch, by_kernel = CoarseHistogram(), CoarseHistogram(use_kernels=True)
    for histogram in (by_torch, by_kernel):
        histogram.add(values)
    assert torch.equal(by_torch.counts, by_kernel.counts)
    largest = values.abs().sort(descending=True)[0]
    for rank in (1, SIZE // 10, SIZE // 3, SIZE):
        bins = {by_torch.find(rank), 0, (1 << 15) - 1}
        halves = [FineHistogram(bins, compiled) for compiled in (False, True)]
        for histogram in halves:
            for block in values.split(1001):
                histogram.add(block)
        assert torch.equal(halves[0].counts, halves[1].counts)
        assert torch.equal(halves[0].above, halves[1].above)
        assert halves[1].value(rank) == largest[rank - 1]
        position = halves[1].locate(rank)
        assert position.larger == int((largest > position.value).sum())
        assert position.equal == int((largest == position.value).sum())
        for compiled in (False, True):
            assert count_equal(values, position.value, compiled) == position.equal


def test_more_undecided_numbers_than_a_block_has():
    upper = np.full(5000, 7, np.uint16)
    kept, indices = np.empty(5000, bool), np.empty(8, np.int64)
    assert keep(upper, np.uint32(7), kept, indices) == 5000
    assert kept.all() and indices.tolist() == list(range(8))


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 5000), (2**20 + 5, 2**20 + 70)])
@pytest.mark.parametrize("seed", [0, 17])
def test_random_numbers(monkeypatch, seed, start, stop):
    drawn = [RandomNumbers(seed, "a", "w", start, stop, compiled) for compiled in (False, True)]
    assert np.array_equal(drawn[0].upper, drawn[1].upper)
    # Drop rates whose lower half decides are those of an entry's own upper half.
    own = (int(drawn[0].upper[-1]) + 0.5) / 2**16
    for few in (random_mask._MAX_UNDECIDED, 0):  # 0: more are undecided than are expected
        monkeypatch.setattr(random_mask, "_MAX_UNDECIDED", few)
        for drop in (0.0, 0.8, 1 / 3, own):
            assert np.array_equal(drawn[0].mask(drop), drawn[1].mask(drop))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float16"])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_what_is_written(random, dtype, lam):
    tau, base = (numbers(random).clamp(-100, 100) for _ in range(2))
    expected = cast_output(tau, lam, base, dtype)
    made = cast_output(tau, lam, base, dtype, use_kernels=True)
    assert bytes(made[0]) == bytes(expected[0]) and made[1:] == expected[1:]
    if dtype == "bfloat16" and lam:
        assert 0 < made[2] < made[1] < SIZE


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float16"])
@pytest.mark.parametrize("compiled", [False, True])
def test_numbers_that_are_not_finite_are_not_written(dtype, compiled):
    tau, base = torch.zeros(SIZE), torch.ones(SIZE)
    for bad in (*NOT_FINITE, 3.4e38):  # the last one, rounded to 16 bits, is infinite
        tau[SIZE - 1] = bad
        values, _, _ = cast_output(tau, 1.0, base, dtype, compiled)
        assert (values is None) == (dtype != "float32" or bad != 3.4e38)


@pytest.mark.parametrize(
    ("tau", "words"),
    [
        (torch.zeros(1), "x: merge returned float32 of shape (1,), not float32 of (3,)"),
        (torch.zeros(3, dtype=torch.float64), "x: merge returned float64 of shape (3,), not"),
        (0.0, "x: merge returned float, not a tensor"),
    ],
)
def test_what_a_method_must_return(tau, words):
    with pytest.raises(ValueError) as error:
        check_tau("x", tau, torch.zeros(3))
    assert str(error.value).startswith(words)


@pytest.mark.parametrize(
    "changed",
    [
        {"delta": torch.zeros(4)},
        {"delta": torch.zeros(3).double()},
        {"mask": np.ones(2, bool)},
        {"mask": np.ones(6, bool)[::2]},
    ],
)
def test_arrays_that_a_kernel_would_read_beyond_are_refused(changed):
    entries = [SparseDelta(torch.zeros(3)), SparseDelta(**{"delta": torch.zeros(3)} | changed)]
    with pytest.raises(ValueError, match="of one length|array of 3 booleans"):
        materialize_all([elect_signs(entries, [1.0] * len(entries))])


def test_kernels_compile_where_no_cache_is_writable():
    program = """
from numba.core import caching
caching.CacheImpl._locator_classes = []
from mergescale.merging.ops.kernels.quantile import count_upper
import numpy as np
counts = np.zeros(1 << 15, np.int64)
count_upper(np.ones(3, np.float32), counts)
print(counts.sum(), count_upper.stats.cache_path)
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
    )
    assert run.stdout.split() == ["3", "None"], run.stderr


def test_merges_of_folders(folders, tmp_path, monkeypatch):  # noqa: F811
    experts = {name: path for name, path in folders.items() if name != "base"}
    dtypes = ("float32", "bfloat16", "float16")
    made, with_kernels = {}, []

    def engine(*arguments, **more):
        with_kernels.append(more["compiled"])
        return Engine(*arguments, **more)

    monkeypatch.setattr(engine_run, "Engine", engine)
    for least in (0, 10**12):
        monkeypatch.setattr(loading, "MIN_BYTES", least)
        merges = [
            wanted(tmp_path / str(least) / dtype, name, folders=folders, dtype=dtype)
            for name in METHODS
            for dtype in dtypes
        ]
        done = run_merges(folders["base"], experts, merges, threads=2)
        records = [{**each.record, "created": None, "plan": None} for each in done]
        made[least] = [contents(merge.folder) for merge in merges], records
    assert with_kernels == [True, False]
    assert made[0][0] == made[10**12][0]
    assert [r["rounded_away_fraction"] for r in made[0][1]] == [
        r["rounded_away_fraction"] for r in made[10**12][1]
    ]
