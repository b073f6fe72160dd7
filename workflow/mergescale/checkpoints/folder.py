"""Hugging Face model folders: their weight files, reading weights, configuration, tokenizer."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
OUTPUT_EMBEDDING = "lm_head.weight"
# Copied from the base to a merged model, beside the configuration.
SHARED_FILES = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
)


def weight_files(folder: str | Path) -> list[Path]:
    """The safetensors files of a folder: model.safetensors, or the shards its index names, sorted.

    Raises:
        ValueError: The folder has no such files (or only pickles), or a shard is missing.
    """
    folder = Path(folder)
    if (folder / INDEX).is_file():
        shards = sorted(set(_weight_map(folder).values()))
        for shard in shards:
            # A name with a folder in it could lead outside.
            if not shard or Path(shard).name != shard:
                raise ValueError(
                    f"{folder}: {INDEX} names {shard!r}, which is not a file beside it"
                )
            if not (folder / shard).is_file():
                raise ValueError(f"{folder}: {INDEX} names {shard}, which does not exist")
        if shards:
            return [folder / shard for shard in shards]
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if pickles := sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]):
        raise ValueError(
            f"{folder} has only pickled weights ({pickles[0].name}), which can run code when they "
            "are read: load it with transformers and save_pretrained() it to a new folder first"
        )
    if folder.is_dir():
        raise ValueError(f"{folder} has no {WEIGHTS}")
    raise ValueError(f"{folder} is not a directory{_download_hint(folder)}")


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """All weights of a folder as {name: tensor}, sorted by name.

    Floating-point tensors are converted to fp32; others keep their dtype. A tied output embedding
    appears once, under the name of the input embedding.

    Raises:
        ValueError: A file cannot be read, or a tensor of the index is in no shard.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            weights |= load_file(path)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    check_index(Path(folder), weights)
    weights = {
        name: weight.float() if weight.is_floating_point() else weight
        for name, weight in sorted(weights.items())
    }
    if is_tied_output(Path(folder), weights, lambda one, other: one.equal(other)):
        del weights[OUTPUT_EMBEDDING]
    return weights


def is_tied_output(
    folder: Path, weights: Mapping[str, Any], equal: Callable[[Any, Any], bool]
) -> bool:
    """Whether lm_head.weight repeats the input embedding and the configuration ties the two.

    A copy that differs is an untied weight, whatever the configuration says.

    Args:
        folder: The model's folder.
        weights: {name: tensor or description of it}.
        equal: Tells whether two values of `weights` are equal.
    """
    config = folder / "config.json"
    if OUTPUT_EMBEDDING not in weights or not config.is_file():
        return False
    if not _read_json(config).get("tie_word_embeddings"):
        return False
    return any(
        name.endswith("embed_tokens.weight") and equal(weight, weights[OUTPUT_EMBEDDING])
        for name, weight in weights.items()
    )


def check_index(folder: Path, weights: Mapping[str, Any]) -> None:
    """Check that each tensor that the index names is in a shard. Raises ValueError if not."""
    named = _weight_map(folder).keys() if (folder / INDEX).is_file() else set()
    if missing := sorted(named - weights.keys()):
        raise ValueError(f"{folder}: tensor {missing[0]} is in {INDEX} but in no shard")


def copy_companions(base: Path, target: Path, dtype: str) -> None:
    """Copy what a merged model shares with its base: configuration and tokenizer.

    config.json gets the dtype of the merged weights; otherwise transformers would round them to the
    one that is named there.
    """
    config = read_config(base)
    types = {key: dtype for key in ("dtype", "torch_dtype") if config.get(key)}
    if all(config[key] == value for key, value in types.items()):
        shutil.copyfile(base / "config.json", target / "config.json")
    else:
        text = json.dumps(config | types, indent=2, sort_keys=True) + "\n"
        (target / "config.json").write_text(text, encoding="utf-8")
    for name in SHARED_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, target / name)


def read_config(folder: Path) -> dict:
    """Read config.json. Raises ValueError if it is missing or not a JSON object."""
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} has no config.json")
    return _read_json(folder / "config.json")


def _weight_map(folder: Path) -> dict[str, str]:
    """{tensor: shard} of a folder's index."""
    shards = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(s, str) for s in shards.values()):
        raise ValueError(f"{folder / INDEX}: weight_map must be a mapping from tensors to files")
    return shards


def _download_hint(folder: Path) -> str:
    """The fix for a missing folder that is named like a model of the hub."""
    name = "/".join(folder.parts[-2:])
    if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", name) and not folder.parent.exists():
        return (
            f"; a model of the Hugging Face hub must be downloaded first: hf download {name} "
            "--local-dir FOLDER"
        )
    return ""


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not readable JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must be a JSON object")
    return content
