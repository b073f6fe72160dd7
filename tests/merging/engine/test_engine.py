"""The streaming engine: the same bits however a merge is cut, and those of the merge in memory."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from engine_models import (  # noqa: F401
    METHODS,
    SHAPES,
    contents,
    folders,
    of,
    one_thread_of_torch,
    split,
    wanted,
    whole,
)
from safetensors import safe_open
from safetensors.torch import load_file

from mergescale.checkpoints.blocks import BLOCK
from mergescale.checkpoints.folder import read_weights
from mergescale.merging.engine import memory
from mergescale.merging.engine.memory import block_elements, element_bytes
from mergescale.merging.engine.run import run_merges
from mergescale.merging.in_memory import read_task_vectors
from mergescale.merging.ops.cast import apply_task_vector
from mergescale.merging.registry import get_method


def in_memory_tau(merge, vectors, base):
    """The merged task vector without the engine."""
    statistics = {
        kind: {e: load_file(merge.statistics_files[e][kind]) for e in merge.experts}
        for kind in merge.method.statistics_files(merge.parameters)
    }
    more = {"statistics": statistics} if statistics else {}
    return merge.method.tau(vectors, seed=merge.seed, base=base, **more, **merge.parameters)


@pytest.mark.parametrize("name", METHODS)
def test_a_merge_of_folders_is_bit_for_bit_the_merge_in_memory(folders, whole, name):
    merge = wanted(folders["base"], name, folders=folders)
    base = read_weights(folders["base"])
    vectors = read_task_vectors(base, of(folders, merge))
    tau = in_memory_tau(merge, vectors, base)
    expected = apply_task_vector(base, tau, merge.lam)
    for tensor, values in expected.items():
        assert whole[name][tensor][2] == values.numpy().tobytes(), tensor
    assert whole[name]["steps"][2] == torch.arange(3).numpy().tobytes()


@pytest.mark.parametrize(("threads", "blocks"), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 3)])
def test_blocks_and_threads_change_no_bit(folders, whole, tmp_path, monkeypatch, threads, blocks):
    experts = {name: path for name, path in folders.items() if name != "base"}
    working = blocks * BLOCK * element_bytes(len(experts))
    monkeypatch.setattr(memory, "WORKING_BYTES", {"cpu": working})
    assert block_elements(len(experts), threads) == blocks * BLOCK
    merges = [wanted(tmp_path, name, folders=folders) for name in METHODS]
    run_merges(folders["base"], experts, merges, threads=threads)
    for name in METHODS:
        assert contents(tmp_path / name) == whole[name], name


@pytest.mark.parametrize("name", METHODS)
def test_a_merge_alone_is_the_merge_among_others(folders, whole, tmp_path, name):
    merge = wanted(tmp_path, name, folders=folders)
    run_merges(folders["base"], of(folders, merge), [merge])
    assert contents(merge.folder) == whole[name]


def test_order_of_experts_and_of_merges_changes_no_bit(folders, whole, tmp_path):
    experts = {name: folders[name] for name in ("expert2", "expert0", "expert1")}
    merges = [wanted(tmp_path, name, folders=folders) for name in reversed(METHODS)]
    done = run_merges(folders["base"], experts, merges, threads=2)
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
    run_merges(folders["base"], experts, list(merges.values()))
    base = read_weights(folders["base"])
    for (name, subset, lam), merge in merges.items():
        vectors = read_task_vectors(base, {expert: folders[expert] for expert in subset})
        tau = get_method(name).tau(vectors, seed=5, density=0.2)
        for tensor, values in apply_task_vector(base, tau, lam).items():
            assert torch.equal(read_weights(merge.folder)[tensor], values)


@pytest.mark.parametrize("threads", [1, 3])
def test_sharded_inputs_change_no_bit(folders, whole, tmp_path, threads):
    parted = {
        name: split(path, tmp_path / "in" / name, parts)
        for (name, path), parts in zip(folders.items(), (3, 2, 1, 4), strict=True)
    }
    base = parted.pop("base")
    run_merges(
        base, parted, [wanted(tmp_path, n, folders=folders) for n in METHODS], threads=threads
    )
    for name in METHODS:
        assert contents(tmp_path / name) == whole[name], name


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_sharded_outputs_hold_the_same_bits(folders, whole, tmp_path, dtype):
    merges = [
        wanted(tmp_path / kind, "ties", dtype=dtype, shard_bytes=size)
        for kind, size in (("one", 10**9), ("many", 100))
    ]
    experts = {name: path for name, path in folders.items() if name != "base"}
    run_merges(folders["base"], experts, merges, threads=2)
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


def test_cached_thresholds_change_no_bit_and_are_not_computed_again(folders, whole, tmp_path):
    experts = {name: path for name, path in folders.items() if name != "base"}
    read = []
    for number in range(2):
        moved = []
        merges = [wanted(tmp_path / str(number), name) for name in ("ties", "breadcrumbs")]
        run_merges(
            folders["base"],
            experts,
            merges,
            cache_dir=tmp_path / "cache",
            on_progress=moved.append,
        )
        read.append(sum(moved))
        for merge in merges:
            assert contents(merge.folder) == whole[merge.method.name]
    assert read[1] < read[0]


def test_a_damaged_cached_threshold_is_recomputed(folders, whole, tmp_path):
    experts = {name: path for name, path in folders.items() if name != "base"}
    run_merges(folders["base"], experts, [wanted(tmp_path / "a", "ties")], cache_dir=tmp_path / "k")
    for file in (tmp_path / "k").iterdir():
        file.write_text("{")
    merge = wanted(tmp_path / "b", "ties")
    run_merges(folders["base"], experts, [merge], cache_dir=tmp_path / "k")
    assert contents(merge.folder) == whole["ties"]


def test_memory_decides_the_size_of_blocks():
    each = BLOCK * element_bytes(3)
    assert block_elements(3, 2, 2 * each) == BLOCK
    assert block_elements(3, 2, 4 * each) == 2 * BLOCK
    assert block_elements(3, 1, 10**12) == block_elements(3, 1) < block_elements(2, 1)
    assert block_elements(1000, 1) == BLOCK
    with pytest.raises(
        ValueError, match=f"too few to merge 3 experts with 2 threads: {2 * each:,}"
    ):
        block_elements(3, 2, 2 * each - 2)
