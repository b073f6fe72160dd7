"""Bad mergekit files: a one-line error that names the key, and nothing is written."""

import pytest

pytest_plugins = "merge_inputs"


GOOD = {
    "merge_method": "ties",
    "base_model": "base",
    "models": [{"model": "math"}, {"model": "code"}],
    "parameters": {"density": 0.5},
}
MERGEKIT = {
    "slices": ({**GOOD, "slices": []}, ["mergekit `slices` are not supported", "models"]),
    "a key that is no text": ({**GOOD, 1: 2}, ["1 is not text"]),
    "a gradient": (
        {**GOOD, "parameters": {"density": [0.1, 0.9]}},
        ["parameters.density: gradients and filters over layers"],
    ),
    "a filter": (
        {**GOOD, "models": [{"model": "math", "parameters": {"weight": [{"value": 1}]}}]},
        ["models.math.parameters.weight: gradients and filters"],
    ),
    "unknown parameter": (
        {**GOOD, "parameters": {"densty": 1}},
        ["parameters.densty is not supported; supported: weight, density"],
    ),
    "unknown method": ({**GOOD, "merge_method": "della"}, ["merge_method is 'della'; supported"]),
    "method is a list": ({**GOOD, "merge_method": ["ties"]}, ["merge_method is ['ties']"]),
    "other tokenizer": ({**GOOD, "tokenizer_source": "union"}, ["tokenizer_source must be base"]),
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
        ["the weights sum to 0"],
    ),
    "no models": ({**GOOD, "models": []}, ["models must be a list"]),
    "no base": ({**GOOD, "base_model": None}, ["base_model is missing"]),
    "text for a number": ({**GOOD, "parameters": {"weight": "1"}}, ["parameters.weight is '1'"]),
    "a huge number": ({**GOOD, "parameters": {"weight": 10**400}}, ["too large"]),
    "bad dtype": ({**GOOD, "dtype": "int4"}, ["dtype is 'int4'; allowed"]),
    "a hub's name": (
        {**GOOD, "base_model": "org/model"},
        ["org/model is not a directory; a model of the Hugging Face hub must be downloaded first"],
    ),
}


@pytest.mark.parametrize("name", MERGEKIT)
def test_mergekits_files_that_are_refused(refused, name):
    recipe, said = MERGEKIT[name]
    refused(recipe, "recipe.yaml" if "hub" not in name else "", *said)
