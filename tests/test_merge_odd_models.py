"""Models that look odd and are merged all the same."""

import shutil

import pytest
import torch
from merge_inputs import TIES, change, linked
from safetensors.torch import load_file

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
    (models / "base/tokenizer.model").write_text("pieces")
    (models / "math/tokenizer.json").unlink()
    (models / "math/tokenizer.model").write_text("pieces")
    accepted(TIES)
