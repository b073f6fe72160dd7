"""Sharded weights and their optimizers, in a process group of one process."""

import copy
import gc
import weakref

import pytest
import tiny_study
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from mergescale.training import sharding
from mergescale.training.sharded_optimizers import ShardedAdafactor, ShardedAdamW

CPU = torch.device("cpu")
SETTINGS = {"lr": 0.01, "weight_decay": 0.01}
OPTIMIZERS = [
    (ShardedAdafactor, torch.optim.Adafactor),
    (ShardedAdamW, torch.optim.AdamW),
]


@pytest.fixture(autouse=True)
def group():
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def backward(model):
    ids = torch.arange(16).reshape(2, 8) + 4
    model.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()


def sharded():
    return sharding.shard(tiny_study.llama(), CPU, bf16=False)


def full_weights(model):
    # A single process's full tensors share the memory of its shards.
    return copy.deepcopy(sharding.FullStateDict(model).state_dict())


def test_full_layers_are_freed_as_they_are_sharded(monkeypatch):
    """Otherwise every GPU would hold the whole model."""
    alive = []

    def fully_shard(module, **settings):
        gc.collect()
        assert not any(parameter() is not None for parameter in alive)
        plain = [p for p in module.parameters() if not isinstance(p, DTensor)]
        assert plain
        alive.extend(weakref.ref(parameter) for parameter in plain)
        del plain
        return original(module, **settings)

    original = sharding.fully_shard
    monkeypatch.setattr(sharding, "fully_shard", fully_shard)
    model = sharded()
    assert len(alive) == len(list(model.parameters()))
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_the_full_state_dict_is_that_of_the_unsharded_model():
    expected, weights = tiny_study.llama().state_dict(), full_weights(sharded())
    assert weights.keys() == expected.keys()
    assert all(weights[name].equal(tensor) for name, tensor in expected.items())


def test_a_full_state_dict_is_loaded_into_a_sharded_model():
    other = tiny_study.llama(seed=1).state_dict()
    model = sharded()
    sharding.FullStateDict(model).load_state_dict(other)
    assert all(tensor.equal(other[name]) for name, tensor in full_weights(model).items())
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_a_gathered_model_has_the_class_and_the_tied_weights_of_the_original():
    original, model = tiny_study.llama(), sharding.gather_full_model(sharded())
    assert type(model) is type(original) and not model.training
    assert model.lm_head.weight is model.model.embed_tokens.weight
    for one, two in zip(model.parameters(), original.parameters(), strict=True):
        assert one.equal(two)


@pytest.mark.parametrize("kind, unsharded_kind", OPTIMIZERS)
def test_a_sharded_optimizer_updates_as_torchs_own_does(kind, unsharded_kind):
    models = sharded(), tiny_study.llama()
    optimizers = [
        each(model.parameters(), **SETTINGS)
        for each, model in zip((kind, unsharded_kind), models, strict=True)
    ]
    for _ in range(3):
        for model, optimizer in zip(models, optimizers, strict=True):
            backward(model)
            optimizer.step()
    weights, expected = full_weights(models[0]), models[1].state_dict()
    for name in expected:
        torch.testing.assert_close(weights[name], expected[name], atol=1e-6, rtol=1e-5)
    states, expected_states = (optimizer.state_dict()["state"] for optimizer in optimizers)
    torch.testing.assert_close(states, expected_states, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kind, unsharded_kind", OPTIMIZERS)
def test_a_loaded_state_continues_as_if_never_saved(kind, unsharded_kind):
    model = sharded()
    optimizer = kind(model.parameters(), **SETTINGS)
    backward(model)
    optimizer.step()
    saved, weights = copy.deepcopy(optimizer.state_dict()), full_weights(model)
    backward(model)
    optimizer.step()
    expected = full_weights(model)
    again = sharded()
    sharding.FullStateDict(again).load_state_dict(weights)
    resumed = kind(again.parameters(), **SETTINGS)
    resumed.load_state_dict(saved)
    backward(again)
    resumed.step()
    assert all(tensor.equal(expected[name]) for name, tensor in full_weights(again).items())


def test_torchs_adafactor_does_not_work_on_sharded_parameters():
    """Once it does, this fails: then remove ShardedAdafactor and let torch's take its place."""
    model = sharded()
    backward(model)
    with pytest.raises(RuntimeError, match="in-place operations that require placement changes"):
        torch.optim.Adafactor(model.parameters()).step()
