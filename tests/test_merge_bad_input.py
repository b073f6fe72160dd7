"""`merge` and `check` on bad input: one sentence, status 1, and nothing is written."""

import errno
import fcntl
import json
import os
import shutil
import struct

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mergescale.cli.main import main
from mergescale.merging.streaming import output_folder

SHAPES = {"model.embed_tokens.weight": (20, 8), "model.norm.weight": (8,), "w": (40, 25)}
TIES = {"method": "ties", "density": 0.2, "lambda": 0.5}
EXPERTS = {"math": "math", "code": "code"}
INDEX = "model.safetensors.index.json"


@pytest.fixture
def models(tmp_path):
    """A base and two experts, with configurations and tokenizers."""
    generator = torch.Generator().manual_seed(0)
    base = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    for name in ("base", "math", "code"):
        scale = 0 if name == "base" else 0.01
        weights = {
            key: value + scale * torch.randn(value.shape, generator=generator)
            for key, value in base.items()
        }
        (tmp_path / name).mkdir()
        save_file(weights | {"ids": torch.arange(9)}, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps({"vocab_size": 20}))
        (tmp_path / name / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0}}}))
    return tmp_path


@pytest.fixture
def refused(models, capsys):
    """Runs a command that must fail with one sentence and leave every file as it was."""

    def command(recipe, *said, out="out", more=(), name="merge"):
        file = models / "recipe.yaml"
        if isinstance(recipe, str):
            file.write_text(recipe)
        elif isinstance(recipe, bytes):
            file.write_bytes(recipe)
        elif recipe is not None:
            whole = {"base": "base", "experts": EXPERTS, **recipe}
            file.write_text(
                yaml.safe_dump(recipe if "merge_method" in recipe else whole, sort_keys=False)
            )
        before = tree(models)
        kept = ("--kept", str(models / "kept"), "--threads", "1") if name == "merge" else ()
        target = (str(models / out),) if name == "merge" else ()
        status = main([name, str(file), *target, *kept, *map(str, more)])
        printed = capsys.readouterr()
        assert status == 1 and not printed.out
        (line,) = printed.err.splitlines()
        assert line.startswith("mergescale: error: ") and "Traceback" not in line
        for part in said:
            assert part in line, line
        assert tree(models) == before
        return line

    return command


@pytest.fixture
def accepted(models, capsys):
    """Runs a merge that must succeed; gives the merged weights."""

    def command(recipe, out="out"):
        whole = {"base": "base", "experts": EXPERTS, **recipe}
        (models / "recipe.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
        target = models / out
        kept = ("--kept", str(models / "kept"), "--threads", "1")
        status = main(["merge", str(models / "recipe.yaml"), str(target), *kept])
        assert status == 0, capsys.readouterr().err
        capsys.readouterr()
        return load_file(target / "model.safetensors")

    return command


def tree(folder):
    """Every path with what it is and its bytes; kept thresholds are no part of a merge."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        if path.is_file()
        else (os.readlink(path) if path.is_symlink() else "folder")
        for path in folder.rglob("*")
        if path != folder / "kept" and path.parent != folder / "kept"
    }


def change(folder, update=None, drop=()):
    """Rewrites a folder's weights with some tensors changed, added or dropped."""
    file = folder / "model.safetensors"
    weights = {k: v.clone() for k, v in load_file(file).items() if k not in drop}
    save_file(weights | (update or {}), file)


def shard(folder):
    """A folder's weights in two shards with an index."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    index = {key: f"model-{1 + (key == 'w')}.safetensors" for key in weights}
    for file in set(index.values()):
        save_file({k: v for k, v in weights.items() if index[k] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"weight_map": index}))


def with_value(shape, value):
    tensor = torch.ones(shape)
    tensor.view(-1)[-1] = value
    return tensor


def missing_shard(m):
    shard(m / "math")
    (m / "math/model-2.safetensors").unlink()


def truncated(m):
    file = m / "math/model.safetensors"
    os.truncate(file, file.stat().st_size - 1)


def corrupt_header(m):
    with (m / "math/model.safetensors").open("r+b") as stream:
        stream.seek(8)
        stream.write(b"!")


def only_pickles(m):
    (m / "math/model.safetensors").rename(m / "math/pytorch_model.bin")


def index_of(content):
    def damage(m):
        shard(m / "math")
        (m / "math" / INDEX).write_text(content)

    return damage


def tensor_in_two_shards(m):
    shard(m / "math")
    weights = load_file(m / "math/model-1.safetensors") | {"w": torch.ones(40, 25)}
    save_file(weights, m / "math/model-1.safetensors")


def tensor_in_no_shard(m):
    shard(m / "math")
    index = json.loads((m / "math" / INDEX).read_text())
    index["weight_map"]["lost"] = "model-1.safetensors"
    (m / "math" / INDEX).write_text(json.dumps(index))


def shard_outside(m):
    shard(m / "math")
    shutil.copy(m / "math/model-1.safetensors", m)
    index = {"weight_map": {"w": "../model-1.safetensors"}}
    (m / "math" / INDEX).write_text(json.dumps(index))


def fp8(m):
    for name in ("base", "math", "code"):
        change(m / name, {"w": torch.ones(40, 25).to(torch.float8_e4m3fn)})


def no_tensors(m):
    for name in ("base", "math", "code"):
        (m / name / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")


def write(path, content):
    def damage(m):
        (m / path).write_text(content)

    return damage


def remove(path):
    def damage(m):
        (m / path).unlink() if (m / path).is_file() else shutil.rmtree(m / path)

    return damage


def copy_weights(source, target):
    def damage(m):
        shutil.copy(m / source / "model.safetensors", m / target / "model.safetensors")

    return damage


def changed(folder, update=None, drop=()):
    def damage(m):
        change(m / folder, update() if callable(update) else update, drop)

    return damage


def linked(path, target):
    def damage(m):
        remove(path)(m)
        (m / path).symlink_to(target)

    return damage


# what is wrong with the models: (how it comes about, what the sentence must say)
MODELS = {
    "missing shard": (missing_shard, ["math", INDEX, "names model-2.safetensors, which is not"]),
    "truncated file": (truncated, ["math/model.safetensors is truncated"]),
    "corrupt header": (corrupt_header, ["math/model.safetensors: the header is corrupt"]),
    "pickles only": (only_pickles, ["math holds pickled weights only (pytorch_model.bin)"]),
    "no weights": (remove("math/model.safetensors"), ["math holds no model.safetensors"]),
    "no folder": (remove("math"), ["math is no folder"]),
    "no base": (remove("base"), ["base is no folder"]),
    "file for a folder": (
        lambda m: (remove("math")(m), write("math", "")(m)),
        ["math is no folder"],
    ),
    "weights that lead nowhere": (
        linked("math/model.safetensors", "nowhere"),
        ["math holds no model.safetensors"],
    ),
    "weights that lead to themselves": (
        linked("math/model.safetensors", "model.safetensors"),
        ["math holds no model.safetensors"],
    ),
    "folder that leads to itself": (linked("math", "math"), ["math is no folder"]),
    "folder of weights": (
        lambda m: (remove("math/model.safetensors")(m), (m / "math/model.safetensors").mkdir()),
        ["math holds no model.safetensors"],
    ),
    "empty file": (write("math/model.safetensors", ""), ["has 0 bytes"]),
    "no tensors": (no_tensors, ["hold no tensors"]),
    "index is not JSON": (index_of("{"), [INDEX, "is not readable JSON"]),
    "index is a list": (index_of("[]"), [INDEX, "it holds no mapping"]),
    "index nested deep": (index_of("[" * 100_000), [INDEX, "is not readable JSON"]),
    "index without a map": (index_of("{}"), [INDEX, "weight_map must be a mapping"]),
    "index with a list": (index_of('{"weight_map": ["w"]}'), ["weight_map must be a mapping"]),
    "index with numbers": (index_of('{"weight_map": {"w": 1}}'), ["weight_map must be"]),
    "index leads outside": (shard_outside, ["names ../model-1.safetensors"]),
    "tensor in two shards": (tensor_in_two_shards, ["tensor w is in", "model-2.safetensors"]),
    "tensor in no shard": (tensor_in_no_shard, ["tensor lost is in", "but in no shard"]),
    "other shape": (
        changed("math", {"w": torch.ones(25, 40)}),
        ["math", "tensor w has shape (25, 40), but (40, 25) in the base"],
    ),
    "missing tensor": (changed("math", drop=("w",)), ["math", "lacks tensor w, which the base"]),
    "extra tensor": (changed("math", {"x": torch.ones(2)}), ["has tensor x, which the base"]),
    "integers for numbers": (
        changed("math", {"w": torch.ones(40, 25, dtype=torch.int32)}),
        ["tensor w is I32, but F32 in the base"],
    ),
    "other tokenizer": (
        write("math/tokenizer.json", '{"model": {"vocab": {"b": 0}}}'),
        ["math", "has another tokenizer than the base", "tokenizer.json differs"],
    ),
    "broken tokenizer": (write("math/tokenizer.json", "{"), ["tokenizer.json is not readable"]),
    "tokenizer nested deep": (
        write("math/tokenizer.json", "[" * 100_000),
        ["tokenizer.json is not readable JSON"],
    ),
    "other vocabulary": (
        write("math/config.json", '{"vocab_size": 21}'),
        ["math", "has a vocabulary of 21 in config.json", "one of 20"],
    ),
    "base without configuration": (remove("base/config.json"), ["base holds no config.json"]),
    "broken configuration": (write("base/config.json", "{"), ["config.json is not readable JSON"]),
    "configuration is a list": (write("math/config.json", "[]"), ["it holds no mapping"]),
    "fp8": (fp8, ["tensor w is F8_E4M3, quantized", "bfloat16"]),
    "quantized": (
        write("math/config.json", '{"quantization_config": {"bits": 4}}'),
        ["math/config.json has a quantization_config"],
    ),
    "expert is a link to the base": (linked("math", "base"), ["expert math is the base itself"]),
}
# Those that headers do not show.
CONTENTS = {
    **{
        f"{value} in {folder}": (
            changed(folder, {"w": with_value((40, 25), value)}),
            [label, "tensor w holds NaN or infinity"],
        )
        for value in (float("nan"), float("inf"), float("-inf"))
        for folder, label in (("math", "math ("), ("base", "the base ("))
    },
    "difference overflows": (
        lambda m: (
            changed("math", {"w": with_value((40, 25), 3e38)})(m),
            changed("base", {"w": with_value((40, 25), -3e38)})(m),
        ),
        ["math (", "tensor w less that of the base", "overflows fp32"],
    ),
    "double beyond fp32": (
        changed("math", {"w": with_value((40, 25), 1.0).double() * 1e39}),
        ["math (", "tensor w overflows fp32"],
    ),
    "expert equals the base": (
        copy_weights("base", "math"),
        ["math", "holds the same weights as the base", "an expert differs from its base"],
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("command", ["merge", "check"])
def test_models_that_cannot_be_merged(models, refused, name, command):
    damage, said = MODELS[name]
    damage(models)
    refused(TIES, *said, name=command)


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("method", ["ties", "averaging", "slerp"])
def test_weights_that_cannot_be_merged(models, refused, name, method):
    damage, said = CONTENTS[name]
    damage(models)
    refused(TIES if method == "ties" else {"method": method}, *said)


def test_an_output_that_overflows_its_dtype(models, refused):
    change(models / "math", {"w": torch.full((40, 25), 1e6)})
    recipe = {"method": "averaging", "dtype": "float16"}
    refused(recipe, "tensor w overflows float16; write it in float32")


def test_a_sum_that_overflows(models, refused):
    for name in ("math", "code"):
        change(models / name, {"w": torch.full((40, 25), 3e38)})
    refused({"method": "task_arithmetic", "lambda": 1}, "tensor w overflows float32")


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
    "unknown method": ({"method": "tie"}, ["unknown merging method 'tie'", "did you mean 'ties'"]),
    "method is a list": ({"method": ["ties"]}, ["unknown merging method"]),
    "method is null": ({"method": None}, ["unknown merging method"]),
    "no method": ({}, ["method is missing"]),
    "unknown parameter": (
        {"method": "averaging", "density": 0.2},
        ["averaging has no parameter 'density'", "its parameters: lambda"],
    ),
    "bad parameter": ({**TIES, "density": 0}, ["density is 0, allowed is a number above 0 to 1"]),
    "parameter as text": ({**TIES, "density": "much"}, ["density is 'much', allowed is"]),
    "parameter as a list": ({**TIES, "density": [0.1]}, ["density is [0.1], allowed is"]),
    "parameter is not a number": ({**TIES, "density": float("nan")}, ["density is nan"]),
    "parameter is huge": ({**TIES, "density": 10**400}, ["too large"]),
    "no density": ({"method": "ties", "lambda": 1}, ["ties needs density"]),
    "bad choice": ({**TIES, "trim_scope": "layer"}, ["trim_scope is 'layer'", "model, tensor"]),
    "bad lambda": ({**TIES, "lambda": -1}, ["lambda is -1, allowed is a number from 0 to 1"]),
    "lambda as text": ({**TIES, "lambda": "1"}, ["lambda is '1'"]),
    "no lambda": ({"method": "ties", "density": 0.2}, ["lambda is None"]),
    "bad weight": (
        {**TIES, "experts": {"math": {"path": "math", "weight": "2"}, "code": "code"}},
        ["experts.math.weight is '2', allowed is a number"],
    ),
    "infinite weight": (
        {**TIES, "experts": {"math": {"path": "math", "weight": float("inf")}, "code": "code"}},
        ["experts.math.weight is inf, allowed is a number between"],
    ),
    "weights, which is no key": ({**TIES, "weights": {"math": 2}}, ["'weights'", "allowed: base"]),
    "bad parameter of an expert": (
        {**TIES, "experts": {"math": {"path": "math", "density": 2}, "code": "code"}},
        ["density is 2, allowed"],
    ),
    "unknown key of an expert": (
        {**TIES, "experts": {"math": {"path": "math", "wieght": 2}, "code": "code"}},
        ["ties has no parameter 'wieght'"],
    ),
    "lambda of an expert": (
        {**TIES, "experts": {"math": {"path": "math", "lambda": 0.5}, "code": "code"}},
        ["experts.math.lambda", "common to all experts"],
    ),
    "unknown preset": ({**TIES, "preset": "papers"}, ["preset is 'papers', allowed are paper"]),
    "preset is a list": ({**TIES, "preset": ["paper"]}, ["preset is ['paper'], allowed are"]),
    "bad dtype": ({**TIES, "dtype": "int8"}, ["dtype is 'int8', allowed are float32, bfloat16"]),
    "dtype is a list": ({**TIES, "dtype": ["float32"]}, ["dtype is ['float32'], allowed are"]),
    "bad shard_size": ({**TIES, "shard_size": "5XB"}, ["shard_size: '5XB' is no amount"]),
    "shard_size of nothing": ({**TIES, "shard_size": 0.5}, ["shard_size: 0.5 is no amount"]),
    "shard_size of many digits": ({**TIES, "shard_size": "9" * 400}, ["shard_size", "no amount"]),
    "bad seed": (
        {"method": "dare_ties", "density": 0.2, "lambda": 1, "seed": 0.5},
        ["seed is 0.5, allowed is a whole number"],
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
        ["merges.True is not text; a name like this needs quotes"],
    ),
    "names that do not compare": ({**TIES, None: 1, 2: 3}, ["None is not text"]),
    "folder with a zero byte": ({**TIES, "experts": {"a": "ma\0th"}}, ["cannot be a folder"]),
    "folder of half a letter": (
        START.replace("math: math", 'math: "\\uD800"') + "method: averaging",
        ["cannot be a folder"],
    ),
    "folder of a very long name": ({**TIES, "experts": {"a": "m" * 300}}, ["mmm"]),
    "folder of an unknown user": (
        {**TIES, "experts": {"a": "~nobody-of-this-name/model"}},
        ["~nobody-of-this-name/model: there is no such user"],
    ),
    "list with equal names": (
        {**TIES, "experts": ["math", "other/math"]},
        ["experts lists 'math' twice: give them names"],
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
    "base is missing": ({**TIES, "base": "nowhere"}, ["nowhere is no folder"]),
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
        ["method stands beside merges"],
    ),
    "typo beside merges": (
        {"merges": {"a": {"method": "averaging"}}, "shardsize": 1},
        ["'shardsize' is not a key of a recipe; did you mean shard_size?"],
    ),
    "merges is a list": ({"merges": [{"method": "averaging"}]}, ["merges must be a mapping"]),
    "merges is empty": ({"merges": {}}, ["merges must be a mapping"]),
    "merge is null": ({"merges": {"a": None}}, ["merges.a: method is missing"]),
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
    "not a mapping": ("[base, experts]", ["recipe.yaml holds no mapping"]),
    "empty": ("", ["recipe.yaml holds no mapping"]),
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
    "aliases of aliases": (BOMB + START + "dtype: *i", ["aliases repeat each other too often"]),
    "mappings of mappings": (MERGE_BOMB + START, ["aliases repeat each other too often"]),
    "alias of itself": (START + "dtype: &a [*a]", ["aliases repeat each other too often"]),
    "too long": ("#" * 1_000_001, ["is longer than 1,000,000 bytes"]),
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_that_are_refused(refused, name):
    recipe, said = RECIPES[name]
    refused(recipe, *said)


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


def test_a_recipe_that_does_not_exist(refused):
    refused(None, "recipe.yaml does not exist")


def test_a_recipe_that_is_a_folder(models, refused):
    (models / "recipe.yaml").mkdir()
    refused(None, "recipe.yaml is not YAML", "Is a directory")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--memory-limit", "lots"), "'lots' is no amount of memory: write 500MB"),
        (("--memory-limit", "9" * 400), "is no amount of memory"),
        (("--memory-limit", "0"), "'0' is no amount of memory"),
        (("--memory-limit", "1MB"), "memory_limit is 1,000,000 bytes, but"),
        (("--threads", "1000000"), "bytes"),
    ],
)
def test_memory_that_is_too_little_or_unreadable(refused, more, said):
    refused(TIES, said, more=more)


def test_memory_for_python_but_not_for_pieces(refused, monkeypatch):
    from mergescale.merging.streaming import memory

    monkeypatch.setattr(memory, "anonymous_memory", lambda: 0)
    limit = memory._HEADROOM + 2 * memory._HISTOGRAM_BYTES + 1000
    refused(TIES, "are too few to merge 2 experts with 1 threads", more=("--memory-limit", limit))


def test_a_folder_that_exists_is_left_alone(models, refused):
    (models / "out").mkdir()
    (models / "out/thesis.txt").write_text("mine")
    refused(TIES, "out exists already and is not this merge", "remove it")


@pytest.mark.parametrize("folder", ["base", "math"])
def test_an_input_as_output_is_left_alone(refused, folder):
    refused(TIES, f"{folder} exists already and is not this merge", out=folder)


def test_a_file_as_output_is_left_alone(models, refused):
    (models / "out").write_text("mine")
    refused(TIES, "out exists already and is not this merge")


def test_a_file_in_place_of_the_parent_is_left_alone(models, refused):
    (models / "file").write_text("mine")
    refused(TIES, "file", out="file/out")


@pytest.mark.parametrize("target", ["nowhere", "empty"])
def test_a_link_as_output_is_left_alone(models, refused, target):
    (models / "empty").mkdir()
    (models / "out").symlink_to(target)
    refused(TIES, "out exists already and is not this merge")


@pytest.mark.parametrize("out", [".", "new/.."])
def test_an_output_without_a_name_is_refused(refused, monkeypatch, models, out):
    (models / "here").mkdir()
    monkeypatch.chdir(models / "here")
    (models / "recipe.yaml").write_text(yaml.safe_dump({"base": "base", "experts": EXPERTS} | TIES))
    status = main(["merge", str(models / "recipe.yaml"), out, "--threads", "1"])
    assert status == 1 and not list((models / "here").iterdir())
    assert sorted(path.name for path in models.iterdir()) == [
        *("base", "code", "here", "math", "recipe.yaml")
    ]


def test_an_output_of_a_very_long_name_is_refused(refused):
    refused(TIES, "File name too long", out="new/" + "m" * 250)


def test_one_of_several_outputs_with_a_very_long_name_leaves_none(refused):
    merges = {"a": {"method": "averaging"}, "m" * 250: TIES}
    refused({"merges": merges}, "File name too long", out="new/folder")


def test_an_input_that_changes_while_it_is_read_is_no_input(models, refused, monkeypatch):
    write, changed = output_folder.OutputFolder.write, []

    def meanwhile(*arguments, **more):
        changed or os.utime(models / "math/model.safetensors", (0, 0))
        changed.append(1)
        return write(*arguments, **more)

    monkeypatch.setattr(output_folder.OutputFolder, "write", meanwhile)
    refused(TIES, "a model's files changed while they were merged")


def test_an_input_that_becomes_shorter_is_named(models, refused, monkeypatch):
    file = models / "math/model.safetensors"
    whole, read = file.read_bytes(), os.preadv

    def shorter(descriptor, *arguments):
        if os.path.samestat(os.fstat(descriptor), file.stat()):
            return 0
        return read(descriptor, *arguments)

    monkeypatch.setattr(os, "preadv", shorter)
    refused(TIES, "math/model.safetensors became shorter while it was read")
    assert file.read_bytes() == whole


def test_times_that_cannot_be_written_are_a_sentence(models, capsys):
    (models / "recipe.yaml").write_text(yaml.safe_dump({"base": "base", "experts": EXPERTS} | TIES))
    assert main(["check", str(models / "recipe.yaml"), "--timing", str(models / "base")]) == 1
    assert capsys.readouterr().err.startswith("mergescale: error: ")


def test_another_merge_under_the_name_is_left_alone(models, accepted, refused):
    accepted(TIES)
    refused({**TIES, "lambda": 0.4}, "out exists already and is not this merge")


def test_a_merge_of_which_a_file_is_missing_is_not_found_there(models, accepted, refused):
    accepted(TIES)
    (models / "out/model.safetensors").unlink()
    refused(TIES, "out exists already and is not this merge, or not all of it")


@pytest.mark.parametrize("content", ["{}", "[]", "[" * 100_000, "\udc80"])
def test_a_broken_record_is_no_merge(models, accepted, refused, content):
    accepted(TIES)
    (models / "out/merge.json").write_bytes(content.encode(errors="surrogateescape"))
    refused(TIES, "out exists already and is not this merge")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_parent_that_cannot_be_written(models, refused):
    (models / "locked").mkdir(mode=0o555)
    refused(TIES, "locked", "Permission denied", out="locked/out")


@pytest.mark.parametrize("call", ["posix_fallocate", "pwrite"])
@pytest.mark.parametrize("recipe", [TIES, {"merges": {"a": TIES, "b": {"method": "averaging"}}}])
def test_a_full_disk(refused, monkeypatch, call, recipe):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    refused(recipe, "model.safetensors of", "bytes cannot be written: No space", out="new/out")


def test_a_disk_that_fills_up_along_the_way(refused, monkeypatch):
    write, calls = os.pwrite, []

    def filling(*arguments):
        calls.append(1)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*arguments)

    monkeypatch.setattr(os, "pwrite", filling)
    refused(TIES, "out/model.safetensors of", "No space left on device")


def test_a_disk_that_is_full_at_the_very_end(refused, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "merge.json")

    monkeypatch.setattr(output_folder, "_write_text", full)
    refused({"merges": {"a": TIES}}, "No space left on device", out="new/out")


def test_an_interrupt_leaves_what_the_next_call_goes_on_with(models, accepted, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(output_folder.OutputFolder, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            accepted(TIES)
    assert (models / ".out.partial").is_dir() and not (models / "out").exists()
    accepted(TIES)
    assert not (models / ".out.partial").exists()


@pytest.fixture
def elsewhere(models):
    """Another process in the middle of a merge into out/b."""
    partial = models / "out/.b.partial"
    partial.mkdir(parents=True)
    (partial / "model.safetensors").write_text("half")
    with (partial / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_another_process_at_work_is_left_alone(elsewhere, refused):
    refused(TIES, "another process is merging into", "out/b", out="out/b")


def test_another_process_at_work_on_one_of_several_is_left_alone(elsewhere, refused):
    merges = {"a": TIES, "b": {"method": "averaging"}, "c": {"method": "averaging"}}
    refused({"merges": merges}, "another process is merging into", "out/b")


def test_what_a_stopped_merge_left_stays_when_another_process_is_at_work(
    elsewhere, models, refused
):
    (models / "out/.a.partial").mkdir()
    (models / "out/.a.partial/.lock").touch()
    (models / "out/.a.partial/journal.json").write_text("{}")
    refused({"merges": {"a": TIES, "b": TIES}}, "another process is merging into")


def test_a_link_in_place_of_the_hidden_folder_is_not_emptied(models, refused):
    (models / "mine").mkdir()
    (models / "mine/thesis.txt").write_text("mine")
    (models / ".out.partial").symlink_to("mine")
    refused(TIES, ".out.partial is a link: remove it")


def test_links_in_the_hidden_folder_are_not_followed(models, accepted):
    (models / "mine").mkdir()
    (models / "mine/thesis.txt").write_text("mine")
    (models / ".out.partial").mkdir()
    (models / ".out.partial/folder").symlink_to("../mine")
    (models / ".out.partial/model.safetensors").symlink_to("../mine/thesis.txt")
    accepted(TIES)
    assert tree(models / "mine") == {"thesis.txt": b"mine"}


def test_an_input_in_the_hidden_folder_is_not_emptied(models, refused):
    (models / ".out.partial").mkdir()
    (models / "math").rename(models / ".out.partial/math")
    recipe = {**TIES, "experts": {"math": ".out.partial/math", "code": "code"}}
    refused(recipe, "math (", "lies in", ".out.partial")


def test_an_output_inside_an_input_leaves_the_input_as_it_is(models, accepted):
    before = tree(models / "base")
    accepted(TIES, out="base/merged")
    after = tree(models / "base")
    assert {path: after[path] for path in before} == before


def test_an_empty_folder_as_output_is_filled(models, accepted):
    (models / "out").mkdir()
    accepted(TIES)


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


def test_masks_of_one_name_are_refused(models, refused):
    for name in ("base", "math", "code"):
        change(models / name, {"b.w": torch.randn(2)})
    recipe = {"method": "emr", "lambda": 1, "experts": {"a": "math", "a.b": "code"}}
    refused(recipe, "masks.safetensors would hold two tensors of one name: rename the experts")


@pytest.mark.parametrize("content", ["{}", "[]", '{"": "0x1p99999"}', '{"": 1}', "[" * 100_000])
def test_damaged_thresholds_are_computed_again(models, accepted, content):
    first = accepted(TIES)
    for file in (models / "kept").iterdir():
        file.write_text(content)
    again = accepted(TIES, out="again")
    assert all(first[name].equal(again[name]) for name in first)


def test_anchors_that_are_no_bomb_are_understood(models, capsys):
    (models / "recipe.yaml").write_text(
        START + "merges:\n"
        "  a: &a {method: ties, density: 0.2, lambda: 0.5}\n"
        "  b: {<<: *a, lambda: 0.4}\n"
    )
    assert main(["check", str(models / "recipe.yaml")]) == 0
    assert main(["explain", str(models / "recipe.yaml")]) == 0
    assert "lambda 0.4" in capsys.readouterr().out
