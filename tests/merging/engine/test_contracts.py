"""What methods and recipes may ask of the engine: values by tensor, statistics files, matrices."""

import json
from pathlib import Path

import pytest
import torch
from engine_models import (  # noqa: F401
    SHAPES,
    contents,
    folders,
    of,
    one_thread_of_torch,
    wanted,
)
from merge_inputs import EXPERTS, TIES
from safetensors.torch import load_file, save_file

from mergescale.checkpoints.folder import read_weights
from mergescale.merging.engine.memory import block_elements, element_bytes, round_up
from mergescale.merging.engine.run import run_merges
from mergescale.merging.in_memory import read_task_vectors
from mergescale.merging.ops.cast import apply_task_vector
from mergescale.merging.parameters import TensorParameter, resolve
from mergescale.merging.registry import get_method

pytest_plugins = "merge_inputs"

BY_TENSOR = [{"filter": "model.*", "value": 0.3}, {"value": 0.6}]


def tau_by_tensor(method, vectors, tensors, rules, **parameters):
    """In memory, tensor by tensor: what a value by tensor must give."""
    tau = {}
    for name in tensors:
        own = {expert: {name: vector[name]} for expert, vector in vectors.items()}
        tau |= method.tau(own, density=rules.value_in(name), **parameters)
    return tau


@pytest.mark.parametrize("name", ["ties", "dare_ties", "breadcrumbs"])
@pytest.mark.parametrize("compiled", [False, True])
def test_density_by_tensor_is_the_merge_of_each_tensor(
    folders,  # noqa: F811
    tmp_path,
    monkeypatch,
    name,
    compiled,
):
    from mergescale.merging.ops.kernels import loading

    monkeypatch.setattr(loading, "MIN_BYTES", 0 if compiled else 10**12)
    method, rules = get_method(name), TensorParameter((("emb*", 0.3), ("w", 0.1), ("*", 0.8)))
    scope = {} if name == "dare_ties" else {"trim_scope": "tensor"}
    parameters = method.canonical({"density": 0.5, **scope}) | {"density": rules}
    merge = wanted(tmp_path, name, parameters=parameters)
    run_merges(folders["base"], of(folders, merge), [merge], threads=2)
    base = read_weights(folders["base"])
    vectors = read_task_vectors(base, of(folders, merge))
    tau = tau_by_tensor(method, vectors, SHAPES, rules, seed=merge.seed, **scope)
    for tensor, values in apply_task_vector(base, tau, merge.lam).items():
        assert contents(merge.folder)[tensor][2] == values.numpy().tobytes(), tensor


def test_weights_by_tensor_are_weights_in_each_tensor(models, accepted):
    rules = [{"filter": "model.*", "value": 0.25}, {"value": 2}]
    experts = {"math": {"path": "math", "weight": rules}, "code": "code"}
    merged = accepted({"method": "task_arithmetic", "lambda": 1, "experts": experts})
    for pattern, weight in (("model.", 0.25), ("w", 2)):
        own = {"math": {"path": "math", "weight": weight}, "code": "code"}
        plain = accepted({"method": "task_arithmetic", "lambda": 1, "experts": own}, out=pattern)
        for name in plain:
            assert merged[name].equal(plain[name]) or not name.startswith(pattern), name
    record = json.loads((models / "out/merge.json").read_text())["recipe"]
    assert record["experts"]["math"]["weight"] == [
        {"filter": "model.*", "value": 0.25},
        {"value": 2.0},
    ]


def test_values_by_tensor_are_explained(models, capsys):
    from mergescale.cli.main import main

    (models / "recipe.yaml").write_text(
        "base: base\nexperts: {math: math, code: code}\nmethod: dare_linear\nlambda: 1\n"
        "density: [{filter: 'model.*', value: 0.3}, {value: 0.6}]\n"
    )
    assert main(["explain", str(models / "recipe.yaml")]) == 0
    assert "density 0.3 in model.*, else 0.6" in capsys.readouterr().out


RULES = {
    "whole-model threshold": (
        {**TIES, "density": BY_TENSOR},
        ["density by tensor needs trim_scope: tensor"],
    ),
    "unused filter": (
        {**TIES, "trim_scope": "tensor", "density": [{"filter": "layer*", "value": 1}, *BY_TENSOR]},
        ["density: the filter 'layer*' matches no tensor"],
    ),
    "no default": (
        {**TIES, "density": BY_TENSOR[:1]},
        ["ties: density: the last rule must not have a filter"],
    ),
    "value out of range": (
        {**TIES, "density": [{"filter": "w", "value": 2}, {"value": 1}]},
        ["ties: density is 2, must be in (0, 1]"],
    ),
    "no value": ({**TIES, "density": [{"filter": "w"}, {"value": 1}]}, ["rule 1 has no value"]),
    "no filter": ({**TIES, "density": [{"value": 1}, {"value": 1}]}, ["rule 1 needs a filter"]),
    "unknown key": (
        {**TIES, "density": [{"fitler": "w", "value": 1}, {"value": 1}]},
        ["rule 1 must be {filter: pattern, value: ...}"],
    ),
    "a choice": (
        {**TIES, "trim_scope": [{"value": "tensor"}]},
        ["ties: trim_scope cannot depend on the tensor"],
    ),
    "lambda": (
        {**TIES, "lambda": [{"value": 1}]},
        ["lambda cannot depend on the tensor; weights of experts can"],
    ),
    "weights that cancel out in a tensor": (
        {
            "method": "averaging",
            "experts": {
                "math": {"path": "math", "weight": [{"filter": "w", "value": -1}, {"value": 1}]},
                "code": "code",
            },
        },
        ["averaging divides by the sum of the weights, which is 0 in tensor w"],
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_bad_rules_are_refused(refused, name):
    recipe, message = RULES[name]
    refused(recipe, *message)


def test_the_first_matching_rule_decides():
    rules = TensorParameter((("a*", 1), ("*b", 2), ("*", 3)))
    assert [rules.value_in(name) for name in ("ab", "b", "c")] == [1, 2, 3]
    assert resolve({"x": rules, "y": 5}, "b") == {"x": 2, "y": 5}


def with_fisher(models, names=("math", "code")):
    """Adds random Fisher information to experts; a recipe that uses it."""
    for seed, name in enumerate(("math", "code")):
        weights = load_file(models / name / "model.safetensors")
        generator = torch.Generator().manual_seed(seed)
        fisher = {
            key: torch.rand(value.shape, generator=generator)
            for key, value in weights.items()
            if value.is_floating_point()
        }
        save_file(fisher, models / name / "fisher.safetensors")
    experts = {
        name: {"path": name, "statistics": {"fisher": f"{name}/fisher.safetensors"}}
        if name in names
        else name
        for name in EXPERTS
    }
    return {"method": "fisher", "experts": experts}


def test_a_statistics_file_is_read_with_its_expert(models, accepted):
    recipe = with_fisher(models)
    merged = accepted(recipe)
    base = read_weights(models / "base")
    vectors = read_task_vectors(base, {name: models / name for name in EXPERTS})
    fisher = {name: load_file(models / name / "fisher.safetensors") for name in EXPERTS}
    tau = get_method("fisher").tau(vectors, base=base, statistics={"fisher": fisher})
    for name, values in apply_task_vector(base, tau, 1.0).items():
        assert merged[name].equal(values), name
    inputs = json.loads((models / "out/merge.json").read_text())["inputs"]
    files = [inputs[name]["statistics"]["fisher"] for name in ("math", "code")]
    assert [Path(file["file"]).name for file in files] == ["fisher.safetensors"] * 2
    assert len({file["digest"] for file in files}) == 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.unlink(), ["fisher.safetensors cannot be read"]),
        (
            lambda file: save_file({"w": torch.ones(40, 25)}, file),
            ["math: ", "fisher.safetensors lacks tensor model.", "which the base"],
        ),
        (
            lambda file: save_file(load_file(file) | {"w": torch.ones(2)}, file),
            ["fisher.safetensors: tensor w is F32 of shape (2,), must be floating-point of shape"],
        ),
        (
            lambda file: save_file(load_file(file) | {"w": torch.full((40, 25), torch.nan)}, file),
            ["fisher.safetensors: tensor w has NaN or infinity"],
        ),
    ],
    ids=["missing", "incomplete", "other shape", "NaN"],
)
def test_bad_statistics_files_are_refused(models, refused, damage, message):
    recipe = with_fisher(models)
    damage(models / "math/fisher.safetensors")
    refused(recipe, *message)


def test_missing_and_unused_statistics_are_named(models, refused):
    recipe = with_fisher(models, names=("math",))
    refused(recipe, "fisher needs fisher statistics of expert code: write code: {path: ...,")
    refused({**recipe, **TIES}, "experts.math.statistics.fisher: no method requires it")


def test_a_matrix_method_gets_whole_tensors(folders, tmp_path):  # noqa: F811
    merges = [wanted(tmp_path, name) for name in ("iso_c", "ties")]
    run_merges(folders["base"], of(folders, merges[0]), merges, threads=2, memory_limit=10**10)
    base = read_weights(folders["base"])
    vectors = read_task_vectors(base, of(folders, merges[0]))
    for merge in merges:
        tau = merge.method.tau(vectors, **merge.parameters)
        for tensor, values in apply_task_vector(base, tau, merge.lam).items():
            assert contents(merge.folder)[tensor][2] == values.numpy().tobytes(), tensor


def test_whole_tensors_decide_the_memory():
    largest = 5_000_000
    each = round_up(largest) * element_bytes(3, whole_tensors=True)
    assert block_elements(3, 2, 2 * each, whole_tensor=largest) == round_up(largest)
    with pytest.raises(ValueError, match="whose largest tensor of 5,000,000 elements is merged as"):
        block_elements(3, 2, 2 * each - 2, whole_tensor=largest)


def test_statistics_files_are_counted_in_memory():
    assert element_bytes(3, 3) == element_bytes(3) + 3 * 4
