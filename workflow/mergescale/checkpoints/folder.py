"""Weights as Hugging Face folders: their files, reading them whole, and what goes with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
OUTPUT_EMBEDDING = "lm_head.weight"
# What of a base's folder a merge shares with it, beside the configuration.
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

    Raises ValueError in one sentence where there is none (or only pickles) or a shard is missing.
    """
    folder = Path(folder)
    if (folder / INDEX).is_file():
        shards = sorted(set(_weight_map(folder).values()))
        for shard in shards:
            # A name with a folder in it could lead outside.
            if not shard or Path(shard).name != shard:
                raise ValueError(f"{folder}: {INDEX} names {shard!r}, which is no file beside it")
            if not (folder / shard).is_file():
                raise ValueError(f"{folder}: {INDEX} names {shard}, which is not there")
        if shards:
            return [folder / shard for shard in shards]
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if pickles := sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]):
        raise ValueError(
            f"{folder} holds pickled weights only ({pickles[0].name}), which may run code when "
            "read: load it with transformers and save_pretrained() it to a new folder first"
        )
    reason = f"holds no {WEIGHTS}" if folder.is_dir() else "is no folder"
    raise ValueError(f"{folder} {reason}")


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """All weights of a folder by name, sorted; floating-point tensors in fp32, others as they are.

    Weights tied to the input embedding appear once, under its name. Raises ValueError naming the
    file for one that is unreadable.
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

    A copy that differs is a weight of its own, whatever the configuration says.
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
    """Raises ValueError for a tensor that the index names and no shard holds."""
    named = _weight_map(folder).keys() if (folder / INDEX).is_file() else set()
    if lost := sorted(named - weights.keys()):
        raise ValueError(f"{folder}: tensor {lost[0]} is in {INDEX} but in no shard")


def copy_companions(base: Path, target: Path, dtype: str) -> None:
    """Copies what a merge shares with its base: configuration, tokenizer.

    config.json gets the dtype in which the weights are written: otherwise transformers would round
    them to the one named there.
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
    """config.json of a folder. Raises ValueError where there is none, or no mapping in it."""
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} holds no config.json")
    return _read_json(folder / "config.json")


def _weight_map(folder: Path) -> dict[str, str]:
    """{tensor: shard} of a folder's index."""
    found = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(found, dict) or not all(isinstance(shard, str) for shard in found.values()):
        raise ValueError(f"{folder / INDEX}: weight_map must be a mapping from tensors to files")
    return found


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not readable JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not readable JSON: it holds no mapping")
    return content
