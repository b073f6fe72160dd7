"""ties: first keeps exactly the density, the same entries however a merge is cut."""

import json
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from engine_models import contents, split
from merging_oracle import kept_number, oracle, random_model, write_model
from safetensors.torch import load_file

from mergescale.checkpoints.blocks import BLOCK
from mergescale.checkpoints.folder import read_weights
from mergescale.checkpoints.reader import CheckpointReader
from mergescale.merging.engine import memory, statistics
from mergescale.merging.engine.engine import Engine
from mergescale.merging.engine.estimate import estimate_io
from mergescale.merging.engine.memory import element_bytes
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.passes import TieBudget, locate_tie_cutoffs
from mergescale.merging.engine.run import run_merges
from mergescale.merging.in_memory import read_task_vectors
from mergescale.merging.ops.cast import apply_task_vector
from mergescale.merging.ops.kernels import loading
from mergescale.merging.registry import get_method

# Not in order of their names; the last one by name is of several blocks.
SHAPES = {"w": (9, 5), "zone": (4 * BLOCK // 64 + 7, 64), "embed": (BLOCK + 100,), "scalar": ()}
SMALL = {"w": (9, 5), "zone": (40, 8), "embed": (100,), "scalar": (), "none": (0, 3)}
EXPERTS = ("expert0", "expert1", "expert2")
TIES = get_method("ties")
POINTS = [
    {"density": density, "trim_scope": scope, "rounding": rounding}
    for density in (0.001, 0.2, 0.5)
    for scope in ("model", "tensor")
    for rounding in ("up", "down", "at_least_one")
]


def models_in(root, shapes, zeros=0.0):
    """A base and three experts, all of few distinct weights, one expert in bf16."""
    random = np.random.default_rng(0)
    base = random_model(random, "grid", shapes)
    made = {"base": write_model(root / "base", base | {"steps": torch.arange(3)})}
    for number, name in enumerate(EXPERTS):
        delta = random_model(random, "grid", shapes)
        weights = {
            n: base[n] + delta[n] * torch.tensor(random.random(delta[n].shape) >= zeros)
            for n in base
        }
        weights = {n: w.to(torch.float32 if number else torch.bfloat16) for n, w in weights.items()}
        made[name] = write_model(root / name, weights | {"steps": torch.arange(3)})
    return made


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return models_in(tmp_path_factory.mktemp("models"), SHAPES)


def ties_merge(out, **settings):
    parameters = TIES.canonical({"ties": "first", **settings})
    return Merge(out, TIES, EXPERTS, 1.0, parameters=parameters)


def merges_into(out):
    return [ties_merge(out / str(number), **point) for number, point in enumerate(POINTS)]


def experts_of(folders):
    return {name: folders[name] for name in EXPERTS}


@pytest.fixture(scope="module")
def whole(folders, tmp_path_factory):
    """What the merge in memory gives, for every point."""
    base = read_weights(folders["base"])
    vectors = read_task_vectors(base, experts_of(folders))
    made = []
    for point in POINTS:
        tau = TIES.tau(vectors, ties="first", **point)
        made.append({n: w.numpy().tobytes() for n, w in apply_task_vector(base, tau, 1.0).items()})
    return made


def assert_whole(merges, whole):
    for merge, expected in zip(merges, whole, strict=True):
        made = {name: raw for name, (_, _, raw) in contents(merge.folder).items()}
        assert made == expected, merge.parameters


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_just_the_share_is_kept(folders, point):
    base = read_weights(folders["base"])
    vector = read_task_vectors(base, experts_of(folders))["expert1"]
    kept = TIES.tau({"a": vector}, ties="first", **point)
    groups = [sorted(vector)] if point["trim_scope"] == "model" else [[n] for n in vector]
    for names in groups:
        size = sum(vector[name].numel() for name in names)
        number = kept_number(size, point["density"], point["rounding"])
        left = torch.cat([kept[name].reshape(-1) for name in names]).abs()
        values = torch.cat([vector[name].reshape(-1) for name in names]).abs()
        assert left.count_nonzero() == min(number, values.count_nonzero())
        if left.any():
            # All that is larger than the smallest one that is kept, and the first as large as it.
            smallest = left[left > 0].min()
            assert torch.equal(left > smallest, values > smallest)
            equal = (left == smallest)[values == smallest]
            assert equal[: equal.sum()].all()


@pytest.mark.parametrize(("threads", "blocks"), [(1, 1), (3, 1), (2, 2), (2, 100)])
@pytest.mark.parametrize("compiled", [False, True])
def test_blocks_threads_and_kernels_change_no_bit(
    folders, whole, tmp_path, monkeypatch, threads, blocks, compiled
):
    working = blocks * BLOCK * element_bytes(len(EXPERTS))
    monkeypatch.setattr(memory, "WORKING_BYTES", {"cpu": working})
    monkeypatch.setattr(loading, "MIN_BYTES", 0 if compiled else 10**12)
    merges = merges_into(tmp_path)
    run_merges(folders["base"], experts_of(folders), merges, threads=threads)
    assert_whole(merges, whole)


def test_sharded_inputs_change_no_bit(folders, whole, tmp_path):
    parted = {
        name: split(path, tmp_path / "in" / name, parts)
        for (name, path), parts in zip(folders.items(), (3, 2, 1, 4), strict=True)
    }
    base = parted.pop("base")
    merges = merges_into(tmp_path)
    run_merges(base, parted, merges, threads=2)
    assert_whole(merges, whole)


@pytest.mark.parametrize("scope", ["model", "tensor"])
def test_breadcrumbs_remove_exactly_a_fraction_too(folders, tmp_path, monkeypatch, scope):
    working = BLOCK * element_bytes(len(EXPERTS))
    monkeypatch.setattr(memory, "WORKING_BYTES", {"cpu": working})
    crumbs = get_method("breadcrumbs")
    settings = {"density": 0.15, "outliers": 0.1, "ties": "first", "trim_scope": scope}
    parameters = crumbs.canonical(settings)
    merge = Merge(tmp_path / "m", crumbs, EXPERTS, 1.0, parameters=parameters)
    run_merges(folders["base"], experts_of(folders), [merge], threads=2)
    base = read_weights(folders["base"])
    tau = crumbs.tau(read_task_vectors(base, experts_of(folders)), **parameters)
    expected = apply_task_vector(base, tau, 1.0)
    assert_whole([merge], [{n: w.numpy().tobytes() for n, w in expected.items()}])


def test_cached_thresholds_change_no_bit(folders, whole, tmp_path, monkeypatch):
    experts, cache = experts_of(folders), tmp_path / "cache"
    run_merges(folders["base"], experts, merges_into(tmp_path / "a"), cache_dir=cache)
    files = sorted(cache.iterdir())
    assert len(files) == len(EXPERTS) * len(POINTS)
    files[0].write_text(files[0].read_text().replace("0x", "", 1)[:-3])  # damaged
    computed = []
    compute_cutoffs = statistics.compute_cutoffs

    def counting(reader, requested, *more):
        computed.extend(requested.items())
        return compute_cutoffs(reader, requested, *more)

    monkeypatch.setattr(statistics, "compute_cutoffs", counting)
    again = merges_into(tmp_path / "b")
    run_merges(folders["base"], experts, again, cache_dir=cache)
    assert_whole(again, whole)
    assert len({(expert, *specs) for expert, specs in computed}) == 1


def test_every_point_is_the_formula(tmp_path):
    folders = models_in(tmp_path, SMALL, zeros=0.3)
    base = read_weights(folders["base"])
    vectors = read_task_vectors(base, experts_of(folders))
    merges = merges_into(tmp_path)
    run_merges(folders["base"], experts_of(folders), merges)
    for merge in merges:
        merged = read_weights(merge.folder)
        for name, tau in oracle("ties", vectors, **merge.parameters).items():
            np.testing.assert_allclose(
                merged[name].double().numpy(), base[name].double().numpy() + tau, rtol=1e-6
            )


def test_nothing_is_chosen_among_zeros(tmp_path):
    folders = models_in(tmp_path, SHAPES, zeros=0.9)
    read, records = {}, {}
    for ties in ("all", "first"):
        moved = []
        merge = ties_merge(tmp_path / ties, density=0.2, ties=ties)
        (done,) = run_merges(
            folders["base"], experts_of(folders), [merge], on_progress=moved.append
        )
        read[ties], records[ties] = sum(moved), done.record
    assert contents(tmp_path / "all") == contents(tmp_path / "first")
    assert read["all"] == read["first"]
    assert records["all"]["kept_fraction"] == records["first"]["kept_fraction"]
    for share in records["all"]["kept_fraction"]["threshold"].values():
        assert 0.07 < share < 0.1  # zeros are no part of it


def test_the_record_has_the_fraction_that_was_kept(folders, tmp_path):
    base = read_weights(folders["base"])
    vectors = read_task_vectors(base, experts_of(folders))
    elements = sum(w.numel() for w in vectors["expert0"].values())
    for ties in ("all", "first"):
        merge = ties_merge(tmp_path / ties, density=0.2, ties=ties)
        (done,) = run_merges(folders["base"], experts_of(folders), [merge])
        for expert, vector in vectors.items():
            kept = TIES.tau({"a": vector}, density=0.2, ties=ties)
            number = sum(int(tensor.count_nonzero()) for tensor in kept.values())
            assert done.record["kept_fraction"]["threshold"][expert] == number / elements
            assert (number == kept_number(elements, 0.2, "up")) == (ties == "first")


def test_the_tie_pass_ends_when_all_ties_are_located(folders, monkeypatch):
    monkeypatch.setattr(memory, "WORKING_BYTES", {"cpu": BLOCK * element_bytes(len(EXPERTS))})
    with (
        CheckpointReader.open(folders["base"]) as base,
        CheckpointReader.open(folders["expert1"]) as expert,
    ):
        engine = Engine(base, {"expert1": expert}, threads=1, memory=None)
        vector = read_task_vectors(read_weights(folders["base"]), {"e": folders["expert1"]})["e"]
        at = {n: (v.reshape(-1).abs() == 0.125).nonzero().flatten() for n, v in vector.items()}
        inside = len(at["embed"]), len(at["embed"]) + len(at["scalar"]) + len(at["w"])
        for room, end, elements in (
            (0, ("embed", int(at["embed"][0])), BLOCK),
            (inside[0] - 1, ("embed", int(at["embed"][-1])), BLOCK + 100),
            (inside[1], ("zone", int(at["zone"][0])), BLOCK + 100 + 1 + 45 + BLOCK),
        ):
            read = []
            budgets = {(0, room): TieBudget(0.125, room)}
            ends = locate_tie_cutoffs(engine.reader, budgets, list(vector), read.append)
            assert ends == {(0, room): end}
            assert sum(read) == elements * 8


def test_the_tie_pass_is_estimated_as_one_more_pass_at_most(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "WORKING_BYTES", {"cpu": BLOCK * element_bytes(len(EXPERTS))})
    with ExitStack() as opened:
        sources = {
            n: opened.enter_context(CheckpointReader.open(folder)) for n, folder in folders.items()
        }
        base = sources.pop("base")
        works = [
            estimate_io(base, sources, [ties_merge(tmp_path / "m", density=0.2, ties=at)], {})
            for at in ("all", "first")
        ]
    assert works[0].statistics * 1.5 == works[1].statistics
    moved, skipped = [], []
    run_merges(
        folders["base"],
        experts_of(folders),
        [ties_merge(tmp_path / "m", density=0.2)],
        on_progress=moved.append,
        on_skipped=skipped.append,
    )
    assert works[0].moved < sum(moved) < works[1].moved
    assert sum(moved) + sum(skipped) == works[1].moved


def test_an_expert_overrides_the_parameter(tmp_path):
    """A flag of one expert, and the default for one where the others have the flag."""
    folders = models_in(tmp_path, SMALL)
    base = read_weights(folders["base"])
    vectors = read_task_vectors(base, experts_of(folders))
    for shared, single in (("all", "first"), ("first", "all")):
        own = {"expert1": {"ties": single}}
        merge = Merge(
            tmp_path / shared,
            TIES,
            EXPERTS,
            1.0,
            parameters=TIES.canonical({"density": 0.3, "ties": shared}),
            overrides=own,
        )
        run_merges(folders["base"], experts_of(folders), [merge])
        expected = oracle("ties", vectors, own=own, density=0.3, ties=shared)
        merged = load_file(merge.folder / "model.safetensors")
        for name, tau in expected.items():
            np.testing.assert_allclose(
                merged[name].double().numpy(), base[name].double().numpy() + tau, rtol=1e-6
            )


def test_a_recipe_sets_it_for_all_or_for_one_expert(tmp_path, capsys):
    from mergescale.cli.main import main

    models_in(tmp_path, SMALL)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "base: base\n"
        "experts: {expert0: expert0, expert1: {path: expert1, ties: all}}\n"
        "method: ties\ndensity: 0.2\nlambda: 1\nties: first\n"
    )
    command = ["merge", str(recipe), str(tmp_path / "out"), "--threads", "1"]
    assert main([*command, "--cache-dir", str(tmp_path / "cache")]) == 0
    record = json.loads((tmp_path / "out/merge.json").read_text())
    assert record["recipe"]["parameters"]["ties"] == "first"
    assert record["recipe"]["experts"]["expert1"]["ties"] == "all"
    shares = record["kept_fraction"]["threshold"]
    elements = sum(int(np.prod(shape)) for shape in SMALL.values())
    assert shares["expert0"] == kept_number(elements, 0.2, "up") / elements < shares["expert1"]
    capsys.readouterr()
    recipe.write_text(recipe.read_text().replace("ties: first", "ties: some"))
    assert main(["merge", str(recipe), str(tmp_path / "other")]) != 0
    said = capsys.readouterr().err.strip()
    assert "ties is 'some', must be one of all, first" in said
    assert len(said.splitlines()) == 1 and not (tmp_path / "other").exists()


def test_the_default_is_left_out_of_settings():
    settings = {"density": 0.2, "trim_scope": "model", "rounding": "up", "aggregate": "mean"}
    assert TIES.canonical({"density": 0.2, "ties": "all"}) == settings
    first = settings | {"ties": "first"}
    assert TIES.canonical({"density": 0.2, "ties": "first"}) == first
    swept = TIES.sweep({"density": 0.2, "ties": ["all", "first"]})
    assert swept == [settings, first]
