"""The registry and what methods declare: fast to read, strict about values."""

import subprocess
import sys

import pytest

from mergescale.merging.recipes.mergekit import convert_recipe
from mergescale.merging.recipes.presets import PRESETS, preset_parameters
from mergescale.merging.registry import all_methods, get_method, method_names


def test_reading_declarations_imports_nothing_heavy():
    code = (
        "import sys; from mergescale.merging.registry import all_methods\n"
        "print([m.title for m in all_methods().values()])\n"
        "print([m for m in ('torch', 'numpy', 'safetensors', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    titles, heavy = done.stdout.splitlines()
    assert "'Dare-TIES'" in titles and "'Model Stock'" in titles
    assert heavy == "[]"


def test_methods_are_found_by_file_name():
    assert method_names() == [
        *("averaging", "breadcrumbs", "dare_linear", "dare_ties", "emr", "fisher", "iso_c"),
        *("model_stock", "slerp", "task_arithmetic", "ties"),
    ]
    stochastic = {name for name, method in all_methods().items() if method.stochastic}
    assert stochastic == {"dare_linear", "dare_ties"}


def test_unknown_method_lists_the_known_and_the_closest():
    with pytest.raises(ValueError, match="did you mean ties. allowed: averaging"):
        get_method("tie")
    with pytest.raises(ValueError, match="unknown merging method 'zzz'; allowed: averaging"):
        get_method("zzz")


def test_defaults_are_the_paper_s_grid():
    lambdas = [i / 10 for i in range(11)]
    assert get_method("averaging").sweep() == [{}]
    assert get_method("averaging").lambdas() == [1.0]
    assert get_method("task_arithmetic").lambdas() == lambdas
    assert [p["density"] for p in get_method("ties").sweep()] == [0.2, 0.1]
    assert get_method("dare_ties").sweep() == [
        {"density": 0.2, "aggregate": "mean"},
        {"density": 0.1, "aggregate": "mean"},
    ]
    fixed = [m.name for m in all_methods().values() if not m.sweeps_lambda]
    assert fixed == ["averaging", "fisher", "model_stock", "slerp"]


def test_presets_set_flags_that_methods_have():
    for name in PRESETS:
        for method in all_methods().values():
            settings = preset_parameters(name, method)
            assert settings.items() <= method.sweep(settings)[0].items()
    assert not any(preset_parameters("paper", method) for method in all_methods().values())
    with pytest.raises(ValueError, match="preset is 'mine'; allowed: paper, mergekit, peft"):
        preset_parameters("mine", get_method("ties"))


def test_settings_replace_defaults():
    ties = get_method("ties")
    settings = {
        "density": [0.5, 0.30000000000000004],
        "trim_scope": "tensor",
        "lambda": [0.1 * 3, 1],
    }
    assert ties.sweep(settings) == [
        {"density": 0.5, "trim_scope": "tensor", "rounding": "up", "aggregate": "mean"},
        {"density": 0.3, "trim_scope": "tensor", "rounding": "up", "aggregate": "mean"},
    ]
    assert ties.lambdas(settings) == [0.3, 1.0]


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("ties", {"density": 0}, "ties: density is 0, must be in \\(0, 1\\]"),
        ("ties", {"density": 1.1}, "density is 1.1, must be"),
        ("ties", {"density": True}, "density is True, must be"),
        ("ties", {"density": "0.2"}, "density is the text '0.2', not a number"),
        ("ties", {"density": [0.2, None]}, "density is None, must be"),
        ("ties", {"density": []}, "density has no value"),
        ("ties", {"density": float("nan")}, "density is nan, must be"),
        ("ties", {"trim_scope": "layer"}, "trim_scope is 'layer', must be one of model, tensor"),
        ("ties", {"densty": 0.2}, "ties has no parameter 'densty'; its parameters: density"),
        ("averaging", {"density": 0.2}, "averaging has no parameter 'density'"),
    ],
)
def test_settings_outside_their_range_name_key_and_range(method, settings, message):
    with pytest.raises(ValueError, match=message):
        get_method(method).sweep(settings)


@pytest.mark.parametrize(
    ("method", "lam", "message"),
    [
        ("ties", 1.1, "ties: lambda is 1.1, must be in \\[0, 1\\]"),
        ("task_arithmetic", [0.5, -0.1], "lambda is -0.1"),
        ("averaging", 0.5, "averaging: lambda is 0.5, must be 1.0"),
    ],
)
def test_lambda_outside_its_range(method, lam, message):
    with pytest.raises(ValueError, match=message):
        get_method(method).lambdas({"lambda": lam})


def test_tau_needs_one_value_of_a_swept_parameter_and_a_seed():
    with pytest.raises(ValueError, match="ties needs density"):
        get_method("ties").tau({"a": {}})
    with pytest.raises(ValueError, match="dare_ties draws random numbers and needs a seed"):
        get_method("dare_ties").tau({"a": {}}, density=0.2)


@pytest.mark.parametrize(
    ("method", "parameters", "own", "message"),
    [
        ("ties", {"rescale": True}, {}, "rescale: true is not supported for ties"),
        ("dare_ties", {"rescale": False}, {}, "rescale: false is not supported for dare_ties"),
        ("ties", {}, {"lambda": 0.5}, "lambda is not supported; move it to the parameters of"),
        ("ties", {"density": [0.1, 0.5]}, {}, "density: gradients and filters over layers are"),
        ("ties", {"epsilon": 0.1}, {}, "parameters.epsilon is not supported; supported: weight"),
        ("slerp", {"t": 0.5}, {}, "slerp needs base_model and exactly one other model"),
        ("slerp", {}, {}, "slerp"),
        ("della", {}, {}, "merge_method is 'della'; supported: linear"),
        ("linear", {}, {}, "linear with a base_model that is not among models"),
        ("task_arithmetic", {"normalize": True, "weight": 0}, {}, "weights sum to 0"),
    ],
)
def test_what_mergekit_s_file_says_is_done_or_refused(method, parameters, own, message):
    models = [{"model": "a", "parameters": own}, {"model": "b"}]
    content = {"merge_method": method, "base_model": "base", "models": models}
    with pytest.raises(ValueError, match=message):
        convert_recipe(content | {"parameters": parameters})


def test_weights_of_mergekit_s_linear_must_add_up_to_1_or_be_made_to():
    content = {"merge_method": "linear", "models": [{"model": "a"}, {"model": "b"}]}
    assert convert_recipe(content)["experts"] == {"b": {"path": "b", "weight": 0.5}}
    with pytest.raises(ValueError, match="needs weights that sum to 1"):
        convert_recipe(content | {"parameters": {"normalize": False}})
