"""mergekit's files that are refused: one sentence that names the key, nothing is written."""

import pytest

pytest_plugins = "merge_inputs"


GOOD = {
    "merge_method": "ties",
    "base_model": "base",
    "models": [{"model": "math"}, {"model": "code"}],
    "parameters": {"density": 0.5},
}
MERGEKIT = {
    "slices": ({**GOOD, "slices": []}, ["mergekit's slices is not supported", "models"]),
    "a key that is no text": ({**GOOD, 1: 2}, ["1 is not text"]),
    "a gradient": (
        {**GOOD, "parameters": {"density": [0.1, 0.9]}},
        ["parameters.density is a gradient or filter over layers"],
    ),
    "a filter": (
        {**GOOD, "models": [{"model": "math", "parameters": {"weight": [{"value": 1}]}}]},
        ["models.math.parameters.weight is a gradient or filter"],
    ),
    "unknown parameter": (
        {**GOOD, "parameters": {"densty": 1}},
        ["parameters.densty is not supported; understood: weight, density"],
    ),
    "unknown method": ({**GOOD, "merge_method": "della"}, ["merge_method is 'della', understood"]),
    "method is a list": ({**GOOD, "merge_method": ["ties"]}, ["merge_method is ['ties']"]),
    "other tokenizer": ({**GOOD, "tokenizer_source": "union"}, ["tokenizer_source other than"]),
    "weights that cancel out": (
        {
            **GOOD,
            "merge_method": "linear",
            "models": [
                {"model": "base", "parameters": {"weight": 0.1}},
                {"model": "math", "parameters": {"weight": 0.2}},
                {"model": "code", "parameters": {"weight": -0.3}},
            ],
            "parameters": {},
        },
        ["the weights add up to 0"],
    ),
    "no models": ({**GOOD, "models": []}, ["models must be a list"]),
    "no base": ({**GOOD, "base_model": None}, ["base_model is missing"]),
    "text for a number": ({**GOOD, "parameters": {"weight": "1"}}, ["parameters.weight is '1'"]),
    "a huge number": ({**GOOD, "parameters": {"weight": 10**400}}, ["too large"]),
    "bad dtype": ({**GOOD, "dtype": "int4"}, ["dtype is 'int4', allowed are"]),
    "a hub's name": ({**GOOD, "base_model": "org/model"}, ["org/model is no folder"]),
}


@pytest.mark.parametrize("name", MERGEKIT)
def test_mergekits_files_that_are_refused(refused, name):
    recipe, said = MERGEKIT[name]
    refused(recipe, "recipe.yaml" if "hub" not in name else "", *said)
