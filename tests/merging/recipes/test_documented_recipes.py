"""docs/merging.md: its recipes are read as printed, and it lists every method and preset."""

import re

import pytest
from conftest import ROOT

from mergescale.merging.parameters import TensorParameter
from mergescale.merging.recipes.presets import PRESETS
from mergescale.merging.recipes.recipe import read_recipe
from mergescale.merging.registry import method_names

TEXT = (ROOT / "docs" / "merging.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_a_documented_recipe_is_read(tmp_path, number):
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPES[number])
    recipe = read_recipe(file)
    assert recipe.base == tmp_path / "models/llama" and recipe.merges


def test_the_examples_cover_rules_and_statistics_files(tmp_path):
    merges = []
    for number, text in enumerate(RECIPES):
        (tmp_path / f"{number}.yaml").write_text(text)
        merges += read_recipe(tmp_path / f"{number}.yaml").merges
    assert any(isinstance(m.parameters.get("density"), TensorParameter) for m in merges)
    assert any(isinstance(m.weights.get("math"), TensorParameter) for m in merges)
    assert any(m.statistics_files for m in merges)


def test_every_method_and_preset_is_listed():
    listed = re.findall(r"^\| `(\w+)` \| ", TEXT.partition("## Recipes")[0], flags=re.MULTILINE)
    assert sorted(listed) == method_names()
    for preset in PRESETS:
        assert f"`{preset}`" in TEXT
