"""Bad recipes: a one-line error that names the key, status 1, and nothing is written."""

import os

import pytest
from merge_inputs import TIES

from mergescale.cli.main import main

pytest_plugins = "merge_inputs"


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new}\n  <<: [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
START = "base: base\nexperts: {math: math, code: code}\n"
# what is wrong with the recipe: (what it holds in place of a good one, what must be said)
RECIPES = {
    "unknown method": ({"method": "tie"}, ["unknown merging method 'tie'", "did you mean ties"]),
    "method is a list": ({"method": ["ties"]}, ["unknown merging method"]),
    "method is null": ({"method": None}, ["unknown merging method"]),
    "no method": ({}, ["method is missing"]),
    "unknown parameter": (
        {"method": "averaging", "density": 0.2},
        ["averaging has no parameter 'density'", "its parameters: lambda"],
    ),
    "bad parameter": ({**TIES, "density": 0}, ["density is 0, must be in (0, 1]"]),
    "parameter as text": ({**TIES, "density": "much"}, ["density is 'much', must be"]),
    "parameter as a list": ({**TIES, "density": [0.1]}, ["density is [0.1], must be"]),
    "parameter is not a number": ({**TIES, "density": float("nan")}, ["density is nan"]),
    "parameter is huge": ({**TIES, "density": 10**400}, ["too large"]),
    "no density": ({"method": "ties", "lambda": 1}, ["ties needs density"]),
    "bad choice": ({**TIES, "trim_scope": "layer"}, ["trim_scope is 'layer'", "model, tensor"]),
    "bad lambda": ({**TIES, "lambda": -1}, ["lambda is -1, must be in [0, 1]"]),
    "lambda above 1": (
        {**TIES, "lambda": 1.5},
        ["lambda is 1.5, must be in [0, 1]: larger values are not supported so far"],
    ),
    "lambda as text": ({**TIES, "lambda": "1"}, ["lambda is the text '1', not a number"]),
    "no lambda": ({"method": "ties", "density": 0.2}, ["ties needs lambda, which must be"]),
    "null lambda": ({**TIES, "lambda": None}, ["ties needs lambda, which must be in [0, 1]"]),
    "lambda is a list": ({**TIES, "lambda": [0.1, 0.2]}, ["lambda is [0.1, 0.2], must be in"]),
    "boolean density": ({**TIES, "density": True}, ["density is True, must be in"]),
    "a number that YAML reads as text": (
        START + "method: ties\ndensity: 1e-1\nlambda: 1",
        ["density is the text '1e-1', not a number (write 0.1), must be in"],
    ),
    "seed that is no number, where none is drawn": (
        {**TIES, "seed": "x"},
        ["seed is 'x', must be"],
    ),
    "infinite lambda": ({**TIES, "lambda": float("inf")}, ["lambda is inf, must be in [0, 1]"]),
    "experts is an empty list": ({**TIES, "experts": []}, ["experts must be a mapping"]),
    "expert is the recipe": (
        {**TIES, "experts": {"a": "recipe.yaml"}},
        ["recipe.yaml is not a directory"],
    ),
    "name that turns letters round": (
        {**TIES, "experts": {"a\u202eb": "math"}},
        ["cannot be a name"],
    ),
    "method in binary": (
        START + "method: !!binary dGllcw==",
        ["unknown merging method \"b'ties'\""],
    ),
    "pairs for experts": (
        "base: base\nexperts: !!omap [math: math]\nmethod: averaging",
        ["experts.('math', 'math') must be a folder"],
    ),
    "bad weight": (
        {**TIES, "experts": {"math": {"path": "math", "weight": "2"}, "code": "code"}},
        ["experts.math.weight is the text '2', not a number (write 2.0), must be a number"],
    ),
    "infinite weight": (
        {**TIES, "experts": {"math": {"path": "math", "weight": float("inf")}, "code": "code"}},
        ["experts.math.weight is inf, must be a number between"],
    ),
    "weights, which is no key": ({**TIES, "weights": {"math": 2}}, ["'weights'", "allowed: base"]),
    "bad parameter of an expert": (
        {**TIES, "experts": {"math": {"path": "math", "density": 2}, "code": "code"}},
        ["density is 2, must be"],
    ),
    "unknown key of an expert": (
        {**TIES, "experts": {"math": {"path": "math", "wieght": 2}, "code": "code"}},
        ["ties has no parameter 'wieght'"],
    ),
    "lambda of an expert": (
        {**TIES, "experts": {"math": {"path": "math", "lambda": 0.5}, "code": "code"}},
        ["experts.math.lambda", "common to all experts"],
    ),
    **{
        f"{key} of an expert": (
            {**recipe, "experts": {"math": {"path": "math", key: value}, "code": "code"}},
            [f"experts.math.{key}: {key} is common to all experts; put it beside method"],
        )
        for recipe, key, value in (
            (TIES, "aggregate", "sum"),
            ({**TIES, "method": "dare_ties"}, "aggregate", "sum"),
            ({"method": "slerp"}, "t", 0.3),
        )
    },
    **{
        f"weight in {method}": (
            {"method": method, "experts": {"math": {"path": "math", "weight": 2}, "code": "code"}},
            [f"experts.math.weight: {method} does not use weights"],
        )
        for method in ("slerp", "model_stock")
    },
    **{
        f"weights {one} and {other} to average": (
            {
                "method": "averaging",
                "experts": {
                    "math": {"path": "math", "weight": one},
                    "code": {"path": "code", "weight": other},
                },
            },
            ["averaging divides by the sum of the weights, which is 0"],
        )
        for one, other in ((1, -1), (0, 0), (0.3, -0.30000000000000004))
    },
    "bad tokenizers": (
        {**TIES, "tokenizers": "union"},
        ["tokenizers is 'union'; allowed: same"],
    ),
    "tokenizers as a list": ({**TIES, "tokenizers": ["same"]}, ["tokenizers is ['same']; allowed"]),
    "unknown preset": (
        {**TIES, "preset": "papers"},
        ["preset is 'papers'; did you mean paper? allowed: paper"],
    ),
    "preset is a list": (
        {**TIES, "preset": ["paper"]},
        ["preset is ['paper']; did you mean paper? allowed"],
    ),
    "bad dtype": ({**TIES, "dtype": "int8"}, ["dtype is 'int8'; allowed: float32, bfloat16"]),
    "dtype is a list": ({**TIES, "dtype": ["float32"]}, ["dtype is ['float32']; allowed:"]),
    "bad shard_size": ({**TIES, "shard_size": "5XB"}, ["shard_size: '5XB' is not an amount"]),
    "shard_size of nothing": ({**TIES, "shard_size": 0.5}, ["shard_size: 0.5 is not an amount"]),
    "shard_size of many digits": (
        {**TIES, "shard_size": "9" * 400},
        ["shard_size", "not an amount"],
    ),
    "bad seed": (
        {"method": "dare_ties", "density": 0.2, "lambda": 1, "seed": 0.5},
        ["seed is 0.5, must be a whole number"],
    ),
    "too many experts": (
        {"method": "slerp", "experts": {"a": "base", "b": "math", "c": "code"}},
        ["slerp merges", "experts, not 3"],
    ),
    "too few experts": ({"method": "model_stock", "experts": {"math": "math"}}, ["not 1"]),
    "no experts": ({**TIES, "experts": {}}, ["experts must be a mapping from names to folders"]),
    "experts is text": ({**TIES, "experts": "math"}, ["experts must be a mapping"]),
    "experts is null": ({**TIES, "experts": None}, ["experts must be a mapping"]),
    "expert is a number": ({**TIES, "experts": {"math": 1}}, ["experts.math must be a folder"]),
    "expert without path": (
        {**TIES, "experts": {"math": {"weight": 1}}},
        ["experts.math must be a folder, or a mapping with path"],
    ),
    "expert is an empty path": ({**TIES, "experts": {"math": ""}}, ["experts.math must be a"]),
    "expert without a name": ({**TIES, "experts": {"": "math"}}, ["'' cannot be a name"]),
    "name with a line break": ({**TIES, "experts": {"a\nb": "math"}}, ["'a\\nb' cannot be a name"]),
    "name that is no text": ({**TIES, "experts": {1: "math"}}, ["experts.1 is not text"]),
    "name that YAML reads as a boolean": (
        START + "merges: {on: {method: averaging}}",
        ["merges.True is not text; put such a name in quotes"],
    ),
    "names that do not compare": ({**TIES, None: 1, 2: 3}, ["None is not text"]),
    "folder with a zero byte": ({**TIES, "experts": {"a": "ma\0th"}}, ["cannot be a path"]),
    "folder of half a letter": (
        START.replace("math: math", 'math: "\\uD800"') + "method: averaging",
        ["cannot be a path"],
    ),
    "folder of a very long name": ({**TIES, "experts": {"a": "m" * 300}}, ["mmm"]),
    "folder of an unknown user": (
        {**TIES, "experts": {"a": "~nobody-of-this-name/model"}},
        ["~nobody-of-this-name/model: there is no such user"],
    ),
    "list with equal names": (
        {**TIES, "experts": ["math", "other/math"]},
        ["experts lists 'math' twice: write a mapping"],
    ),
    "list of numbers": ({**TIES, "experts": [1, 2]}, ["experts.1 must be a folder"]),
    "the same folder twice": (
        {**TIES, "experts": {"math": "math", "again": "./math"}},
        ["experts again and math are the same folder"],
    ),
    "an expert is the base": (
        {**TIES, "experts": {"math": "math", "again": "math/../base"}},
        ["expert again is the base itself"],
    ),
    "no base": ({**TIES, "base": None}, ["base must be the folder of the base model"]),
    "base is a list": ({**TIES, "base": ["base"]}, ["base must be the folder"]),
    "base is empty": ({**TIES, "base": ""}, ["base must be the folder"]),
    "base is missing": ({**TIES, "base": "nowhere"}, ["nowhere is not a directory"]),
    "a key with a typo": (
        {**TIES, "dtpye": "float32"},
        ["'dtpye' is not a key of a recipe; did you mean dtype? allowed: base, experts, merges"],
    ),
    "base with a typo": (
        "bsae: base\nexperts: {math: math}\nmethod: averaging",
        ["'bsae' is not a key of a recipe; did you mean base?"],
    ),
    "method beside merges": (
        {"merges": {"a": {"method": "averaging"}}, "method": "ties"},
        ["method is beside merges"],
    ),
    "typo beside merges": (
        {"merges": {"a": {"method": "averaging"}}, "shardsize": 1},
        ["'shardsize' is not a key of a recipe; did you mean shard_size?"],
    ),
    "merges is a list": ({"merges": [{"method": "averaging"}]}, ["merges must be a mapping"]),
    "merges is empty": ({"merges": {}}, ["merges must be a mapping"]),
    "merge is null": ({"merges": {"a": None}}, ["merges.a: method is missing"]),
    "capitals only": (
        {"merges": {"sum": {"method": "averaging"}, "Sum": {"method": "averaging"}}},
        ["merges has sum and Sum, which are the same folder on macOS"],
    ),
    "typo in a merge": (
        {"merges": {"a": {**TIES, "densty": 0.1}}},
        ["merges.a: ties has no parameter 'densty'; its parameters: density"],
    ),
    **{
        f"merge called {name!r}": (
            {"merges": {name: {"method": "averaging"}, "b": {"method": "averaging"}}},
            ["the name becomes a folder and cannot be"],
        )
        for name in ("", ".", "..", "a/b", "/a", ".hidden", "a\n", "a\0")
    },
    "merge of an unknown expert": (
        {"merges": {"a": {"method": "averaging", "experts": ["law"]}}},
        ["merges.a: expert law is not among code, math"],
    ),
    "merge of no experts": (
        {"merges": {"a": {"method": "averaging", "experts": []}}},
        ["merges.a: averaging merges 1 or more experts, not 0"],
    ),
    "merge of an expert twice": (
        {"merges": {"a": {"method": "averaging", "experts": ["math", "math"]}}},
        ["merges.a: experts math and math are the same folder"],
    ),
    "merge of an expert as text": (
        {"merges": {"a": {"method": "averaging", "experts": "math"}}},
        ["merges.a: experts of a merge must be a list of names"],
    ),
    "merge of nothing": (
        {"merges": {"a": {"method": "averaging", "experts": None}}},
        ["merges.a: experts of a merge must be a list of names"],
    ),
    "not YAML": ("base: [", ["recipe.yaml is not YAML"]),
    "not text": (b"base: \xff", ["recipe.yaml is not YAML"]),
    "tabs": (
        "base: base\nexperts:\n\tmath: math",
        ["recipe.yaml is not YAML: line 3: found character '\\t' that cannot start any token"],
    ),
    "merging a number": (
        START + "<<: 5",
        ["not YAML: line 3: expected a mapping"],
    ),
    "a letter that steers terminals": ("base: \x1b[2J", ["not YAML", "not allowed"]),
    "not a mapping": ("[base, experts]", ["recipe.yaml must be a mapping"]),
    "empty": ("", ["recipe.yaml must be a mapping"]),
    "two documents": ("a: 1\n---\nb: 2", ["recipe.yaml is not YAML"]),
    "a key twice": (
        START + "method: ties\nmethod: slerp",
        ["line 4 gives the key method a second"],
    ),
    "an expert twice": (
        "base: base\nexperts: {math: math, math: code}\nmethod: averaging",
        ["line 2 gives the key math a second time"],
    ),
    "python's objects": (START + "method: !!python/name:os.system ''", ["is not YAML"]),
    "value against its tag": (START + "method: !!bool maybe", ["is not YAML"]),
    "date against its tag": (START + "method: !!timestamp maybe", ["is not YAML"]),
    "day that is not": (START + "method: 2020-99-99", ["is not YAML"]),
    "a number of 5000 digits": (START + "method: ties\ndensity: " + "9" * 5000, ["is not YAML"]),
    "nested deep": (START + "method: " + "[" * 5000, ["is not YAML"]),
    "aliases of aliases": (
        BOMB + START + "dtype: *i",
        ["aliases that repeat each other too often"],
    ),
    "mappings of mappings": (MERGE_BOMB + START, ["aliases that repeat each other too often"]),
    "alias of itself": (START + "dtype: &a [*a]", ["aliases that repeat each other too often"]),
    "too long": ("#" * 1_000_001, ["is longer than 1,000,000 bytes"]),
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_that_are_refused(refused, name):
    recipe, said = RECIPES[name]
    refused(recipe, *said)


def test_a_recipe_that_does_not_exist(refused):
    refused(None, "recipe.yaml does not exist")


def test_a_recipe_that_is_a_folder(models, refused):
    (models / "recipe.yaml").mkdir()
    refused(None, "recipe.yaml is a directory, not a YAML file")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--memory-limit", "lots"), "'lots' is not an amount of memory: write 500MB"),
        (("--memory-limit", "9" * 400), "is not an amount of memory"),
        (("--memory-limit", "0"), "'0' is not an amount of memory"),
        (("--memory-limit", "1MB"), "--memory-limit is 1,000,000 bytes, but"),
        (("--threads", "1000000"), "bytes"),
    ],
)
def test_memory_that_is_too_little_or_unreadable(refused, more, said):
    refused(TIES, said, more=more)


def test_threads_are_as_many_as_cores_and_memory_allow(models, accepted, monkeypatch):
    from mergescale.merging.engine import memory

    assert memory.max_threads(500_000_000, 2, 4) == 4
    assert 1 < memory.max_threads(500_000_000, 8, 256) < 64
    assert memory.max_threads(1, 2, 4) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(256), raising=False)
    accepted(TIES)  # with one thread, for the bytes
    merge = ["merge", str(models / "recipe.yaml"), str(models / "many")]
    assert main([*merge, "--cache-dir", str(models / "cache")]) == 0
    same = [models / name / "model.safetensors" for name in ("out", "many")]
    assert same[0].read_bytes() == same[1].read_bytes()
    assert main(["explain", str(models / "recipe.yaml")]) == 0


def test_memory_for_python_but_not_for_blocks(refused, monkeypatch):
    from mergescale.merging.engine import memory

    monkeypatch.setattr(memory, "anonymous_memory", lambda: 0)
    limit = memory._HEADROOM + 2 * memory._HISTOGRAM_BYTES + 1000
    refused(TIES, "are too few to merge 2 experts with 1 threads", more=("--memory-limit", limit))


def test_anchors_that_are_no_bomb_are_understood(models, capsys):
    (models / "recipe.yaml").write_text(
        START + "merges:\n"
        "  a: &a {method: ties, density: 0.2, lambda: 0.5}\n"
        "  b: {<<: *a, lambda: 0.4}\n"
    )
    assert main(["check", str(models / "recipe.yaml")]) == 0
    assert main(["explain", str(models / "recipe.yaml")]) == 0
    assert "lambda 0.4" in capsys.readouterr().out
