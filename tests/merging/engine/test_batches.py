"""Which merges of a pass are made together: as many as the memory counted for them holds."""

from pathlib import Path

import pytest
from engine_models import contents, folders, of, wanted  # noqa: F401

from mergescale.merging.engine import merge_spec
from mergescale.merging.engine.memory import method_bytes
from mergescale.merging.engine.merge_spec import Merge, batch_merges
from mergescale.merging.engine.run import run_merges
from mergescale.merging.registry import get_method

EIGHT = tuple(f"expert{n}" for n in range(8))


def merge(name, lam=0.5, seed=None, **parameters):
    method = get_method(name)
    return Merge(Path(name), method, EIGHT, lam, method.canonical(parameters), seed=seed)


def held_bytes(merges, batch):
    """Bytes of an element that a batch of the compiled path holds: what methods make and share."""
    own = [merges[numbers[0]] for numbers in batch]
    masked = sum(len(m.experts) for m in own if m.method.stochastic or m.method.masks)
    seeds = {each.seed for each in own if each.method.stochastic}
    sums = {(each.experts, tuple(sorted(each.weights.items()))) for each in own}
    return 4 * len(own) + masked + 2 * 8 * len(seeds) + 4 * len(sums)


def test_merges_of_one_task_vector_come_together():
    merges = [merge("ties", lam, density=d) for lam in (0.1, 0.2) for d in (0.1, 0.2)]
    assert batch_merges(merges, 8) == [[[0, 2], [1, 3]]]


@pytest.mark.parametrize("name", ["dare_ties", "emr", "ties", "averaging"])
def test_a_batch_fits_the_memory_that_is_counted(name):
    if name == "emr":
        merges = [
            Merge(Path(str(n)), get_method("emr"), EIGHT[n % 7 :], 1.0, {}) for n in range(30)
        ]
    elif name == "averaging":  # each has a sum of its own beside its mean
        merges = [
            Merge(Path(str(n)), get_method(name), EIGHT, 1.0, {}, weights={"expert0": 1 + n})
            for n in range(30)
        ]
    else:
        stochastic = name == "dare_ties"
        merges = [
            merge(name, density=density / 100, seed=seed if stochastic else None)
            for density in range(1, 12)
            for seed in range(4 if stochastic else 1)
        ]
    found = batch_merges(merges, 8)
    assert sorted(n for batch in found for numbers in batch for n in numbers) == list(
        range(len(merges))
    )
    assert all(held_bytes(merges, batch) + 4 * 8 + 20 <= method_bytes(8) for batch in found)
    assert name == "emr" or len(found) < len(merges) / 2
    # Random numbers are drawn again only where a seed's merges fill more than a batch.
    seeds = [{merges[n[0]].seed for n in batch} for batch in found]
    assert sum(map(len, seeds)) <= len(set().union(*seeds)) + len(found)


def test_batches_change_no_bit(folders, tmp_path, monkeypatch):  # noqa: F811
    names = ("averaging", "dare_ties", "ties", "emr", "dare_linear")

    def made(where):
        merges = [wanted(tmp_path / where, name) for name in names]
        run_merges(folders["base"], of(folders, merges[0]), merges)
        return [contents(each.folder) for each in merges]

    together = made("together")
    monkeypatch.setattr(merge_spec, "method_bytes", lambda experts: 0)  # one by one
    assert made("alone") == together
