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
PAGE = (REPOSITORY / "docs" / "extend" / "method.md").read_text(encoding="utf-8")
METHODS = ["median", "trimmed_mean", "low_rank", "fisher_argmax"]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)


@pytest.fixture
def workflow(tmp_path):
    """A copy of the library with the page's methods saved where the page says."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "workflow" / "mergescale", ignore=ignore)
    targets = re.findall(r"Save this as\s+`(workflow/[\w/]+\.py)`", PAGE)
    assert [Path(target).stem for target in targets] == METHODS
    for target, content in zip(targets, blocks("python"), strict=False):
        (tmp_path / target).write_text(content, encoding="utf-8")
    return tmp_path / "workflow"


def run(arguments, workflow):
    variables = environment(workflow.parent)
    # `python` of the page is the interpreter of these tests.
    variables["XDG_CACHE_HOME"] = str(workflow / "cache")
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    return subprocess.run(
        arguments, cwd=workflow, env=variables, capture_output=True, text=True, check=True
    ).stdout


def test_the_commands_of_the_page_do_what_it_says(workflow):
    assert run(["bash", "-c", blocks("bash")[0]], workflow) == "Median\n"
    run([sys.executable, "-c", blocks("python")[-1]], workflow)
    code = (
        "from mergescale.merging import all_methods, get_method\n"
        "from mergescale.merging.merge_identity import MergeIdentity\n"
        "print(*all_methods(), MergeIdentity('median', 'b', {'a': 'd'}, 0.5).as_dict()['method'])"
    )
    found = run([sys.executable, "-c", code], workflow).split()
    assert found == [*sorted([*method_names(), *METHODS]), "median"]


def test_the_recipe_of_the_page_merges_two_folders(workflow):
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


def test_the_table_of_statistics_says_what_a_block_gets():
    from mergescale.merging.method import DENSITY, FIXED_LAMBDA, Method
    from mergescale.merging.ops.trim import trim
    from mergescale.merging.statistics import MagnitudeThreshold, StatisticsFile, TensorSum

    def requires(density):
        return {
            "threshold": MagnitudeThreshold(density),
            "length": TensorSum(lambda block: block.base.double().square().sum()),
            "fisher": StatisticsFile("fisher"),
        }

    def merge(block):
        cutoffs = block.statistics["threshold"]
        assert [cutoff.threshold for cutoff in cutoffs] == [3.0, 30.0]
        assert block.statistics["length"] == 5.0
        assert block.statistics["length"].dtype == torch.float64
        assert [f.tolist() for f in block.statistics["fisher"]] == [[1.0] * 4, [2.0] * 4]
        assert [parameters["density"] for parameters in block.parameters] == [0.5, 0.5]
        assert block.shape == (2, 2)
        return trim(block.deltas[0], cutoffs[0]).materialize()

    method = Method("m", "M", merge, (DENSITY, FIXED_LAMBDA), requires=requires)
    deltas = torch.tensor([[1.0, -2.0], [3.0, 4.0]])
    vectors = {"a": {"w": deltas}, "b": {"w": deltas * 10}}
    fisher = {"a": {"w": torch.ones(2, 2)}, "b": {"w": torch.full((2, 2), 2.0)}}
    base = {"w": torch.tensor([[1.0, 2.0], [0.0, 0.0]])}
    tau = method.tau(vectors, base=base, density=0.5, statistics={"fisher": fisher})
    assert tau["w"].tolist() == [[0, 0], [3, 4]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"granularity": "layer"}, "m: granularity is 'layer', must be one of elements, matrix"),
        ({"merge": lambda block, densty: None}, "m has no parameter 'densty'; its parameters: lam"),
        ({"requires": lambda scope: {}}, "m has no parameter 'scope'"),
    ],
)
def test_a_wrong_declaration_fails_when_it_is_read(changes, message):
    from mergescale.merging.method import FIXED_LAMBDA, Method

    declaration = {"merge": lambda block: None, "parameters": (FIXED_LAMBDA,)} | changes
    with pytest.raises(ValueError, match=message):
        Method("m", "M", **declaration)
