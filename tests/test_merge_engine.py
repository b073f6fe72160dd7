"""The streaming engine: the same bits however a merge is cut, and those of the merge in memory."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from merging_oracle import random_model, random_task_vectors, write_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mergescale.checkpoints import blocks as streaming_pieces
from mergescale.checkpoints.blocks import BLOCK, element_bytes, piece_elements
from mergescale.checkpoints.folder import read_weights
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.engine.run import merge_models
from mergescale.merging.in_memory import read_task_vectors
from mergescale.merging.methods.registry import all_methods, get_method
from mergescale.merging.ops.apply import merge as merged_in_memory

# One tensor of more than two blocks, which is the least that a pass can be cut into.
SHAPES = {"embed": (2 * BLOCK // 64 + 7, 64), "w": (9, 5), "norm": (5,), "scalar": ()}
METHODS = sorted(all_methods())
DENSE = ("ties", "dare_ties", "dare_linear", "breadcrumbs")


@pytest.fixture(autouse=True)
def one_thread_of_torch():
    """As inside the engine: products of matrices may be summed in another order with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base and three experts, one of them in bf16: {name: folder}."""
    root = tmp_path_factory.mktemp("models")
    base = random_model(np.random.default_rng(0), "normal", SHAPES)
    made = {"base": write_model(root / "base", base | {"steps": torch.arange(3)})}
    for number, (name, delta) in enumerate(random_task_vectors(1, 3, "normal", SHAPES).items()):
        weights = {n: base[n] + 0.1 * delta[n] for n in base}
        if number == 1:
            weights = {n: w.bfloat16() for n, w in weights.items()}
        made[name] = write_model(root / name, weights | {"steps": torch.arange(3)})
    return made


def wanted(out, name, experts=("expert0", "expert1", "expert2"), **changes):
    method = get_method(name)
    return Merge(
        out / name,
        method,
        tuple(experts)[: method.experts[1]],
        changes.pop("lam", 0.3 if method.sweeps_lambda else 1.0),
        parameters=method.canonical({"density": 0.2} if name in DENSE else {}),
        seed=5 if method.stochastic else None,
        **changes,
    )


def of(folders, merge):
    return {name: folders[name] for name in merge.experts}


def raw(tensor):
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


def contents(folder):
    """All weights (and masks) of a folder by name, as bytes."""
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file).items():
            found[name] = (tensor.dtype, tensor.shape, raw(tensor))
    return found


@pytest.fixture(scope="module")
def whole(folders, tmp_path_factory):
    """Every method's merge by `merge_models`: {method: contents}."""
    out = tmp_path_factory.mktemp("whole")
    experts = {name: path for name, path in folders.items() if name != "base"}
    merge_models(folders["base"], experts, [wanted(out, name) for name in METHODS])
    return {name: contents(out / name) for name in METHODS}


@pytest.mark.parametrize("name", METHODS)
def test_a_merge_of_folders_is_bit_for_bit_the_merge_in_memory(folders, whole, name):
    merge = wanted(folders["base"], name)
    base = read_weights(folders["base"])
    vectors = read_task_vectors(base, of(folders, merge))
    tau = merge.method.tau(vectors, seed=merge.seed, base=base, **merge.parameters)
    expected = merged_in_memory(base, tau, merge.lam)
    for tensor, values in expected.items():
        assert whole[name][tensor][2] == values.numpy().tobytes(), tensor
    assert whole[name]["steps"][2] == torch.arange(3).numpy().tobytes()


@pytest.mark.parametrize(("threads", "blocks"), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 3)])
def test_pieces_and_threads_change_no_bit(folders, whole, tmp_path, monkeypatch, threads, blocks):
    experts = {name: path for name, path in folders.items() if name != "base"}
    working = blocks * BLOCK * element_bytes(len(experts))
    monkeypatch.setattr(streaming_pieces, "WORKING_BYTES", {"cpu": working})
    assert piece_elements(len(experts), threads) == blocks * BLOCK
    merges = [wanted(tmp_path, name) for name in METHODS]
    merge_models(folders["base"], experts, merges, threads=threads)
    for name in METHODS:
        assert contents(tmp_path / name) == whole[name], name


@pytest.mark.parametrize("name", METHODS)
def test_a_merge_alone_is_the_merge_among_others(folders, whole, tmp_path, name):
    merge = wanted(tmp_path, name)
    merge_models(folders["base"], of(folders, merge), [merge])
    assert contents(merge.folder) == whole[name]


def test_order_of_experts_and_of_merges_changes_no_bit(folders, whole, tmp_path):
    experts = {name: folders[name] for name in ("expert2", "expert0", "expert1")}
    merges = [wanted(tmp_path, name) for name in reversed(METHODS)]
    done = merge_models(folders["base"], experts, merges, threads=2)
    assert [each.folder for each in done] == [merge.folder for merge in merges]
    for name in METHODS:
        assert contents(tmp_path / name) == whole[name], name


def test_several_lambdas_and_subsets_come_from_one_pass(folders, tmp_path):
    experts = {name: path for name, path in folders.items() if name != "base"}
    subsets = [("expert0", "expert1"), ("expert2",), tuple(sorted(experts))]
    merges = {
        (name, subset, lam): wanted(tmp_path / str(number), name, subset, lam=lam)
        for number, (name, subset, lam) in enumerate(
            product(("ties", "dare_ties"), subsets, (0.0, 0.3, 1.0))
        )
    }
    merge_models(folders["base"], experts, list(merges.values()))
    base = read_weights(folders["base"])
    for (name, subset, lam), merge in merges.items():
        vectors = read_task_vectors(base, {expert: folders[expert] for expert in subset})
        tau = get_method(name).tau(vectors, seed=5, density=0.2)
        for tensor, values in merged_in_memory(base, tau, lam).items():
            assert torch.equal(read_weights(merge.folder)[tensor], values)


def split(source, target, parts):
    """The same model in several files."""
    target.mkdir(parents=True)
    (target / "config.json").write_text((source / "config.json").read_text())
    weights, weight_map = load_file(source / "model.safetensors"), {}
    for part in range(parts):
        file = f"model-{part + 1:05d}-of-{parts:05d}.safetensors"
        names = sorted(weights)[part::parts]
        save_file({name: weights[name] for name in names}, target / file)
        weight_map |= dict.fromkeys(names, file)
    (target / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return target


@pytest.mark.parametrize("threads", [1, 3])
def test_sharded_inputs_change_no_bit(folders, whole, tmp_path, threads):
    parted = {
        name: split(path, tmp_path / "in" / name, parts)
        for (name, path), parts in zip(folders.items(), (3, 2, 1, 4), strict=True)
    }
    base = parted.pop("base")
    merge_models(base, parted, [wanted(tmp_path, n) for n in METHODS], threads=threads)
    for name in METHODS:
        assert contents(tmp_path / name) == whole[name], name


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_sharded_outputs_hold_the_same_bits(folders, whole, tmp_path, dtype):
    merges = [
        wanted(tmp_path / kind, "ties", dtype=dtype, shard_bytes=size)
        for kind, size in (("one", 10**9), ("many", 100))
    ]
    experts = {name: path for name, path in folders.items() if name != "base"}
    merge_models(folders["base"], experts, merges, threads=2)
    assert contents(tmp_path / "one" / "ties") == contents(tmp_path / "many" / "ties")
    if dtype == "float32":
        assert contents(tmp_path / "one" / "ties") == whole["ties"]
    files = sorted((tmp_path / "many" / "ties").glob("*.safetensors"))
    assert len(files) > 2
    index = json.loads((tmp_path / "many" / "ties" / "model.safetensors.index.json").read_text())
    assert {p.name for p in files} == set(index["weight_map"].values())
    for file in files:
        with safe_open(file, "pt") as opened:
            assert all(index["weight_map"][name] == file.name for name in opened.keys())
    items = 4 if dtype == "float32" else 2
    elements = sum(int(np.prod(shape)) for shape in SHAPES.values())
    assert index["metadata"]["total_size"] == elements * items + 3 * 8


def test_kept_thresholds_change_no_bit_and_are_not_computed_again(folders, whole, tmp_path):
    experts = {name: path for name, path in folders.items() if name != "base"}
    read = []
    for number in range(2):
        told = []
        merges = [wanted(tmp_path / str(number), name) for name in ("ties", "breadcrumbs")]
        merge_models(folders["base"], experts, merges, kept=tmp_path / "kept", progress=told.append)
        read.append(sum(told))
        for merge in merges:
            assert contents(merge.folder) == whole[merge.method.name]
    assert read[1] < read[0]


def test_a_damaged_kept_threshold_is_computed_anew(folders, whole, tmp_path):
    experts = {name: path for name, path in folders.items() if name != "base"}
    merge_models(folders["base"], experts, [wanted(tmp_path / "a", "ties")], kept=tmp_path / "k")
    for file in (tmp_path / "k").iterdir():
        file.write_text("{")
    merge = wanted(tmp_path / "b", "ties")
    merge_models(folders["base"], experts, [merge], kept=tmp_path / "k")
    assert contents(merge.folder) == whole["ties"]


def test_memory_decides_the_size_of_pieces():
    each = BLOCK * element_bytes(3)
    assert piece_elements(3, 2, 2 * each) == BLOCK
    assert piece_elements(3, 2, 4 * each) == 2 * BLOCK
    assert piece_elements(3, 1, 10**12) == piece_elements(3, 1) < piece_elements(2, 1)
    assert piece_elements(1000, 1) == BLOCK
    with pytest.raises(
        ValueError, match=f"too few to merge 3 experts with 2 threads: {2 * each:,}"
    ):
        piece_elements(3, 2, 2 * each - 2)
