"""`merge` and `check` on bad models: a one-line error, status 1, and nothing is written."""

import json
import os
import shutil
import struct

import pytest
import torch
from merge_inputs import INDEX, TIES, change, linked, remove, shard, write
from safetensors.torch import load_file, save_file

from mergescale.checkpoints import writer as output_folder

pytest_plugins = "merge_inputs"


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


def everywhere(tensor):
    """The base's and each expert's only tensor, from a number that differs."""

    def damage(m):
        for number, name in enumerate(("base", "math", "code")):
            save_file({"w": tensor(number)}, m / name / "model.safetensors")

    return damage


def header(content, data=b""):
    def damage(m):
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        head = struct.pack("<Q", len(text)) + text
        (m / "math/model.safetensors").write_bytes(head + data)

    return damage


def stored(shape, start, stop, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def output_embedding(m):
    weights = load_file(m / "math/model.safetensors")
    change(m / "math", {"lm_head.weight": weights["model.embed_tokens.weight"].clone()})


def no_tensors(m):
    for name in ("base", "math", "code"):
        (m / name / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")


def copy_weights(source, target):
    def damage(m):
        shutil.copy(m / source / "model.safetensors", m / target / "model.safetensors")

    return damage


def changed(folder, update=None, drop=()):
    def damage(m):
        change(m / folder, update() if callable(update) else update, drop)

    return damage


# what is wrong with the models: (how it comes about, what the sentence must say)
MODELS = {
    "missing shard": (
        missing_shard,
        ["math", INDEX, "names model-2.safetensors, which does not exist"],
    ),
    "truncated file": (truncated, ["math/model.safetensors is truncated"]),
    "corrupt header": (corrupt_header, ["math/model.safetensors: the header is corrupt"]),
    "pickles only": (only_pickles, ["math has only pickled weights (pytorch_model.bin)"]),
    "no weights": (remove("math/model.safetensors"), ["math has no model.safetensors"]),
    "no folder": (remove("math"), ["math is not a directory"]),
    "no base": (remove("base"), ["base is not a directory"]),
    "file for a folder": (
        lambda m: (remove("math")(m), write("math", "")(m)),
        ["math is not a directory"],
    ),
    "weights that lead nowhere": (
        linked("math/model.safetensors", "nowhere"),
        ["math has no model.safetensors"],
    ),
    "weights that lead to themselves": (
        linked("math/model.safetensors", "model.safetensors"),
        ["math has no model.safetensors"],
    ),
    "folder that leads to itself": (linked("math", "math"), ["math is not a directory"]),
    "folder of weights": (
        lambda m: (remove("math/model.safetensors")(m), (m / "math/model.safetensors").mkdir()),
        ["math has no model.safetensors"],
    ),
    "empty file": (write("math/model.safetensors", ""), ["has 0 bytes"]),
    "no tensors": (no_tensors, ["have no tensors"]),
    "index is not JSON": (index_of("{"), [INDEX, "is not readable JSON"]),
    "index is a list": (index_of("[]"), [INDEX, "must be a JSON object"]),
    "index nested deep": (index_of("[" * 100_000), [INDEX, "is not readable JSON"]),
    "index without a map": (index_of("{}"), [INDEX, "weight_map must be a mapping"]),
    "index with a list": (index_of('{"weight_map": ["w"]}'), ["weight_map must be a mapping"]),
    "index with numbers": (index_of('{"weight_map": {"w": 1}}'), ["weight_map must be"]),
    "index leads outside": (shard_outside, ["names '../model-1.safetensors', which is not a file"]),
    "index names a folder": (
        index_of('{"weight_map": {"w": "."}}'),
        [INDEX, "names '.', which is not a file beside it"],
    ),
    "index names nothing": (
        index_of('{"weight_map": {"w": ""}}'),
        [INDEX, "names '', which is not"],
    ),
    "index names an absolute path": (
        index_of('{"weight_map": {"w": "/model.safetensors"}}'),
        ["names '/model.safetensors', which is not a file beside it"],
    ),
    "index with a zero byte": (
        index_of('{"weight_map": {"w": "a\\u0000b"}}'),
        ["names a\\x00b, which does not exist"],
    ),
    "index names another file": (
        index_of('{"weight_map": {"w": "config.json"}}'),
        ["math/config.json is not a safetensors file"],
    ),
    "integers only": (everywhere(lambda n: torch.arange(4) + n), ["floating-point", "nothing to"]),
    "no element": (everywhere(lambda n: torch.ones(0, 4)), ["floating-point", "nothing to merge"]),
    "complex numbers": (
        everywhere(lambda n: torch.ones(4, dtype=torch.complex64) * n),
        ["model.safetensors: tensor w has dtype C64, must be one of F64"],
    ),
    "overlapping tensors": (
        header({"a": stored([2], 0, 8), "b": stored([2], 4, 12)}, bytes(12)),
        ["math/model.safetensors: the header is corrupt: tensor b begins at byte 4"],
    ),
    "a tensor of 2**63 elements": (
        header({"a": stored([2**63], 0, 2**65)}),
        ["the header is corrupt: tensor a has shape [9223372036854775808]"],
    ),
    "a header of 2**63 bytes": (
        lambda m: (m / "math/model.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}"),
        ["math/model.safetensors is not a safetensors file, or it is truncated"],
    ),
    "a header that is no text": (header(b'{"\xff": 1}'), ["the header is corrupt: 'utf-8' codec"]),
    "output embedding in one model only": (
        output_embedding,
        ["math", "has lm_head.weight (a copy of the input embedding needs tie_word_embeddings"],
    ),
    "base that leads in a circle": (
        lambda m: (linked("base", "circle")(m), (m / "circle").symlink_to("base")),
        ["base is not a directory"],
    ),
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
        [
            "math",
            "has a different tokenizer than the base",
            "tokenizer.json differs",
            "write tokenizers: ignore",
        ],
    ),
    "broken tokenizer": (write("math/tokenizer.json", "{"), ["tokenizer.json is not readable"]),
    "tokenizer nested deep": (
        write("math/tokenizer.json", "[" * 100_000),
        ["tokenizer.json is not readable JSON"],
    ),
    "other vocabulary": (
        write("math/config.json", '{"vocab_size": 21}'),
        ["math", "has vocab_size 21 in config.json", "has 20", "write tokenizers: ignore"],
    ),
    "base without configuration": (remove("base/config.json"), ["base has no config.json"]),
    "broken configuration": (write("base/config.json", "{"), ["config.json is not readable JSON"]),
    "configuration is a list": (write("math/config.json", "[]"), ["must be a JSON object"]),
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
            [label, "tensor w has NaN or infinity"],
        )
        for value in (float("nan"), float("inf"), float("-inf"))
        for folder, label in (("math", "math ("), ("base", "the base ("))
    },
    "difference overflows": (
        lambda m: (
            changed("math", {"w": with_value((40, 25), 3e38)})(m),
            changed("base", {"w": with_value((40, 25), -3e38)})(m),
        ),
        ["math (", "tensor w minus that of the base", "overflows fp32"],
    ),
    "double beyond fp32": (
        changed("math", {"w": with_value((40, 25), 1.0).double() * 1e39}),
        ["math (", "tensor w overflows fp32"],
    ),
    "expert equals the base": (
        copy_weights("base", "math"),
        ["math", "has the same weights as the base", "an expert must differ from its base"],
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


def test_an_input_that_changes_while_it_is_read_is_no_input(models, refused, monkeypatch):
    write, changed = output_folder.CheckpointWriter.write, []

    def meanwhile(*arguments, **more):
        changed or os.utime(models / "math/model.safetensors", (0, 0))
        changed.append(1)
        return write(*arguments, **more)

    monkeypatch.setattr(output_folder.CheckpointWriter, "write", meanwhile)
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


def test_masks_of_one_name_are_refused(models, refused):
    for name in ("base", "math", "code"):
        change(models / name, {"b.w": torch.randn(2)})
    recipe = {"method": "emr", "lambda": 1, "experts": {"a": "math", "a.b": "code"}}
    refused(recipe, "masks.safetensors would have two tensors of the same name: rename the experts")
