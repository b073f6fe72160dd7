"""The page "Add your own merging method", followed literally in a copy of the library."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import environment
from merging_oracle import write_model
from safetensors.torch import load_file

import mergescale
from mergescale.merging.registry import method_names

PACKAGE = Path(mergescale.__file__).parent
REPOSITORY = PACKAGE.parent.parent
PAGE = REPOSITORY / "docs" / "add_a_method.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)


@pytest.fixture
def workflow(tmp_path):
    """A copy of the library with the page's method saved where the page says."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "workflow" / "mergescale", ignore=ignore)
    target = re.search(r"Save this as `(workflow/[\w/]+\.py)`", PAGE.read_text(encoding="utf-8"))
    (tmp_path / target[1]).write_text(blocks("python")[0], encoding="utf-8")
    return tmp_path / "workflow"


def run(arguments, workflow):
    variables = environment(workflow.parent)
    # `python` of the page is the interpreter of these tests.
    variables["XDG_CACHE_HOME"] = str(workflow / "cache")
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    return subprocess.run(
        arguments, cwd=workflow, env=variables, capture_output=True, text=True, check=True
    ).stdout


def test_the_page_s_commands_do_what_it_says(workflow):
    assert run(["bash", "-c", blocks("bash")[0]], workflow) == "Median\n"
    run([sys.executable, "-c", blocks("python")[1]], workflow)


def test_the_page_s_recipe_merges_two_folders(workflow):
    weights = {
        "base": {"w": torch.arange(6.0).view(2, 3), "n": torch.tensor(1.0)},
        "math": {"w": torch.full((2, 3), 4.0), "n": torch.tensor(3.0)},
        "code": {"w": torch.zeros(2, 3), "n": torch.tensor(1.0)},
    }
    for name, tensors in weights.items():
        write_model(workflow / "models" / name, tensors)
    recipe = blocks("yaml")[0]
    (workflow / "recipe.yaml").write_text(recipe, encoding="utf-8")
    _, line = run(["bash", "-c", blocks("bash")[1]], workflow).splitlines()
    assert line.split()[:4] == ["merged", "Median", "0.5", "float32"]
    merged = load_file(workflow / "merged" / "model.safetensors")
    for name, base in weights["base"].items():
        # Between two values the median is their mean.
        tau = (weights["math"][name] + weights["code"][name]) / 2 - base
        torch.testing.assert_close(merged[name], base + 0.5 * tau)


def test_a_new_file_is_all_the_registry_needs(workflow):
    code = (
        "from mergescale.merging.registry import method_names; print(*method_names())\n"
        "from mergescale.merging.merge_identity import MergeIdentity\n"
        "print(MergeIdentity('median', 'b', {'a': 'd'}, 0.5).as_dict()['method'])"
    )
    assert run([sys.executable, "-c", code], workflow).split() == [
        *sorted([*method_names(), "median"]),
        "median",
    ]


def test_the_page_s_parameter_is_the_declared_one():
    from mergescale.merging.method import Parameter

    declared = eval(blocks("text")[0], {"Parameter": Parameter})
    assert declared.canonical(0.5) == 0.5


def test_the_page_s_prepare_tells_reduce_what_it_asks_for():
    from mergescale.merging.method import DENSITY, FIXED_LAMBDA, Method
    from mergescale.merging.statistics import MagnitudeThreshold, TensorSum

    page = {"Threshold": MagnitudeThreshold, "Sum": TensorSum}
    exec(blocks("text")[1], page)

    def reduce(chunk, density):
        assert density == 0.5
        assert chunk.of_experts("smallest kept") == [3.0, 30.0]
        assert chunk.of_tensor("length") == 5.0
        return chunk.deltas[0] * 0

    method = Method("m", "M", reduce, (DENSITY, FIXED_LAMBDA), prepare=page["prepare"])
    deltas = torch.tensor([1.0, -2.0, 3.0, 4.0])
    vectors = {"a": {"w": deltas}, "b": {"w": deltas * 10}}
    base = {"w": torch.tensor([1.0, 2.0, 0.0, 0.0])}
    assert method.tau(vectors, base=base, density=0.5)["w"].tolist() == [0, 0, 0, 0]
