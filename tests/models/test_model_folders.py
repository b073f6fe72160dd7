"""Models in folders: saved and loaded, from scratch, tied weights, damage."""

import pytest
import tiny_study
import torch
from safetensors.torch import load_file, save_file

from mergescale.models.loading import load, parameter_count, save


def same_weights(one, other):
    return all(one[name].equal(other[name]) for name in one)


def test_a_saved_model_loads_to_the_same_weights(tmp_path):
    model, words = tiny_study.llama(seed=5), tiny_study.tokenizer()
    save(tmp_path, model, words)
    loaded, loaded_words = load(tmp_path)
    assert same_weights(dict(model.named_parameters()), dict(loaded.named_parameters()))
    assert loaded_words.get_vocab() == words.get_vocab()
    assert loaded.dtype == torch.float32
    assert not loaded.training


def test_the_same_seed_gives_the_same_model_in_the_same_bytes(tmp_path):
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        save(tmp_path / name, tiny_study.llama(seed=seed), tiny_study.tokenizer())
    one, two, other = (
        (tmp_path / n / "model.safetensors").read_bytes() for n in ("one", "two", "other")
    )
    assert one == two != other


def test_saving_a_base_leaves_the_experts_in_its_folder(tmp_path):
    tiny_study.write_models(tmp_path)
    experts = sorted(tmp_path.rglob("experts/*/model.safetensors"))
    before = [path.read_bytes() for path in experts]
    (tmp_path / ".partial-killed").mkdir()
    save(tmp_path, tiny_study.llama(seed=9), tiny_study.tokenizer())
    assert len(experts) == 2 and [path.read_bytes() for path in experts] == before
    assert not list(tmp_path.glob(".partial-*"))


def test_tied_weights_are_counted_once():
    model = tiny_study.llama(hidden_size=16, layers=2)
    vocabulary = len(tiny_study.tokenizer())
    layer = 4 * 16 * 16 + 3 * 16 * 32 + 2 * 16
    assert parameter_count(model) == vocabulary * 16 + 2 * layer + 16


def test_weights_that_lack_a_tensor_are_refused(tmp_path):
    save(tmp_path, tiny_study.llama(), tiny_study.tokenizer())
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="weights lack model.layers.1.mlp.up_proj.weight"):
        load(tmp_path)
