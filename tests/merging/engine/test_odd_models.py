"""Models that look odd and are merged all the same."""

import json
import shutil

import pytest
import torch
from merge_inputs import EXPERTS, TIES, change, linked, write
from safetensors.torch import load_file

from mergescale.cli.main import main

pytest_plugins = "merge_inputs"


@pytest.mark.parametrize("method", ["ties", "averaging", "slerp", "model_stock", "breadcrumbs"])
def test_odd_tensors_are_merged(models, accepted, method):
    # No elements, no dimension, names of any letters, integers that differ.
    odd = {
        "none": torch.zeros(0, 7),
        "number": torch.tensor(2.0),
        "a b/..\n\"'ü\u2028.weight": torch.ones(3, dtype=torch.bfloat16),
        "": torch.ones(2, dtype=torch.float64),
        "n" * 5000: torch.ones(2, dtype=torch.float16),
        "steps": torch.tensor(1),
        "flag": torch.zeros(0, dtype=torch.bool),
    }
    change(models / "base", odd)
    for name, factor in (("math", 2), ("code", 3)):
        change(models / name, {key: value * factor for key, value in odd.items()})
    settings = {"ties": TIES, "breadcrumbs": {"density": 0.5, "lambda": 1}}.get(method, {})
    merged = accepted({**settings, "method": method})
    base = load_file(models / "base/model.safetensors")
    assert {k: v.shape for k, v in merged.items()} == {k: v.shape for k, v in base.items()}
    assert merged["steps"] == 1 and merged["number"].isfinite()
    if method == "averaging":
        assert merged["number"] == 5.0


def test_folders_and_files_behind_links_are_merged(models, accepted):
    shutil.move(models / "math", models / "stored")
    (models / "math").symlink_to("stored")
    (models / "blob").write_bytes((models / "code/model.safetensors").read_bytes())
    linked("code/model.safetensors", "../blob")(models)
    accepted(TIES)


def test_tokenizers_in_different_forms_are_not_compared(models, accepted):
    # The expert holds only one of the base's two forms of the same tokenizer.
    (models / "base/tokenizer.model").write_text("unigram")
    (models / "math/tokenizer.json").unlink()
    (models / "math/tokenizer.model").write_text("unigram")
    accepted(TIES)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer.json", '{"model": {"vocab": {"b": 0}}}'),
        ("tokenizer.json", "{"),
        ("config.json", '{"vocab_size": 21}'),
    ],
)
def test_other_tokenizers_are_merged_where_the_recipe_says_so(
    models, accepted, capsys, file, content
):
    same = accepted(TIES, out="same")
    write(f"math/{file}", content)(models)
    merged = accepted({**TIES, "tokenizers": "ignore"})
    assert all(merged[name].equal(same[name]) for name in same)
    assert (models / "out" / file).read_bytes() == (models / "base" / file).read_bytes()
    assert json.loads((models / "out/merge.json").read_text())["tokenizers"] == "ignore"
    assert "tokenizers were not compared" in (models / "out/README.md").read_text()
    assert main(["check", str(models / "recipe.yaml")]) == 0
    assert "tokenizers were not compared" in capsys.readouterr().out


def test_other_shapes_are_refused_whatever_the_tokenizers(models, refused):
    embedding = {"model.embed_tokens.weight": torch.ones(21, 8)}
    change(models / "math", embedding)
    refused({**TIES, "tokenizers": "ignore"}, "embed_tokens.weight has shape (21, 8), but (20, 8)")


def test_weights_below_zero_are_merged(models, accepted):
    experts = {"math": {"path": "math", "weight": 2}, "code": {"path": "code", "weight": -1}}
    merged = accepted({"method": "averaging", "experts": experts})
    of = {name: load_file(models / name / "model.safetensors")["w"] for name in EXPERTS}
    assert torch.allclose(merged["w"], 2 * of["math"] - of["code"], atol=1e-5)


def test_an_expert_s_own_parameters_are_heard(models, accepted):
    own = {"path": "math", "density": 0.33, "trim_scope": "tensor", "rounding": "down"}
    accepted({**TIES, "experts": {"math": own, "code": "code"}})
    made = json.loads((models / "out/merge.json").read_text())["recipe"]["experts"]
    assert made["math"] == {key: own[key] for key in own if key != "path"} | {"weight": 1.0}
    merged = load_file(models / "out/model.safetensors")
    for key in ("density", "trim_scope", "rounding"):
        less = {name: value for name, value in own.items() if name != key}
        other = accepted({**TIES, "experts": {"math": less, "code": "code"}}, out=key)
        assert any(not merged[name].equal(other[name]) for name in merged), key
