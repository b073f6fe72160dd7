"""Small models on which merges are tried, and commands that must be refused or must succeed.

A plugin of pytest: `pytest_plugins = "merge_inputs"` in a test gives it the fixtures.
"""

import json
import os
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mergescale.cli.main import main

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
    """Runs a command that must fail with a one-line error and leave every file as it was."""

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
        cache = ("--cache-dir", str(models / "cache"), "--threads", "1") if name == "merge" else ()
        target = (str(models / out),) if name == "merge" else ()
        status = main([name, str(file), *target, *cache, *map(str, more)])
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
        cache = ("--cache-dir", str(models / "cache"), "--threads", "1")
        status = main(["merge", str(models / "recipe.yaml"), str(target), *cache])
        assert status == 0, capsys.readouterr().err
        capsys.readouterr()
        return load_file(target / "model.safetensors")

    return command


def tree(folder):
    """Every path with what it is and its bytes; cached thresholds do not count."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        if path.is_file()
        else (os.readlink(path) if path.is_symlink() else "folder")
        for path in folder.rglob("*")
        if path != folder / "cache" and path.parent != folder / "cache"
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


def write(path, content):
    def damage(m):
        (m / path).write_text(content)

    return damage


def remove(path):
    def damage(m):
        (m / path).unlink() if (m / path).is_file() else shutil.rmtree(m / path)

    return damage


def linked(path, target):
    def damage(m):
        remove(path)(m)
        (m / path).symlink_to(target)

    return damage
