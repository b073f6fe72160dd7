"""Weights as Hugging Face folders: read them whole in fp32, write a merged folder atomically."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
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
        shards = sorted(set(_read_json(folder / INDEX).get("weight_map", {}).values()))
        for shard in shards:
            # A name with a folder in it could lead outside.
            if Path(shard).name != shard or not (folder / shard).is_file():
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
    index = Path(folder) / INDEX
    named = _read_json(index)["weight_map"].keys() if index.is_file() else set()
    if lost := sorted(named - weights.keys()):
        raise ValueError(f"{folder}: tensor {lost[0]} is in {INDEX} but in no shard")
    weights = {
        name: weight.float() if weight.is_floating_point() else weight
        for name, weight in sorted(weights.items())
    }
    return _without_tied_copy(weights, Path(folder))


def _without_tied_copy(weights: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """Drops an output embedding that repeats the input embedding, if the configuration ties them.

    A copy that differs stays: it is a weight of its own, whatever the configuration says.
    """
    output = "lm_head.weight"
    config = folder / "config.json"
    if output not in weights or not config.is_file():
        return weights
    if _read_json(config).get("tie_word_embeddings"):
        for name, weight in weights.items():
            if name.endswith("embed_tokens.weight") and weight.equal(weights[output]):
                return {name: weight for name, weight in weights.items() if name != output}
    return weights


def write_folder(
    folder: str | Path,
    weights: Mapping[str, Tensor],
    base_folder: str | Path,
    recipe: Mapping | None = None,
    card: str | None = None,
) -> None:
    """Writes a complete Hugging Face folder, or nothing: it appears under its name when finished.

    weights: as of `read_weights`, written to model.safetensors in the same bytes each time.
    Configuration and tokenizer are the base's. recipe: written to merge.json. card: README.md.
    Raises FileExistsError if the folder exists and is not empty. What a killed write left behind
    (a hidden sibling) is removed by the next one.
    """
    from safetensors.torch import save_file

    folder, base_folder = Path(folder), Path(base_folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists already: remove it to write it anew")
    partial = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        # Only one entry of metadata: the library writes several in no fixed order.
        save_file(
            {name: weight.contiguous() for name, weight in weights.items()},
            partial / WEIGHTS,
            metadata={"format": "pt"},
        )
        _write_config(base_folder / "config.json", partial / "config.json")
        # The library makes files that only their owner may read; the others are as the user wants.
        (partial / WEIGHTS).chmod((partial / "config.json").stat().st_mode)
        for name in SHARED_FILES:
            if (base_folder / name).is_file():
                shutil.copyfile(base_folder / name, partial / name)
        if recipe is not None:
            _write_json(partial / "merge.json", recipe)
        if card is not None:
            (partial / "README.md").write_text(card, encoding="utf-8")
        for path in (*partial.iterdir(), partial):
            _sync(path)
        os.replace(partial, folder)  # on top of an empty folder too
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write_config(source: Path, target: Path) -> None:
    """Copies config.json; a 16-bit type becomes float32, in which a merge is written.

    Otherwise transformers would round the merged weights to the type named there.
    """
    config = _read_json(source)
    types = {key: "float32" for key in ("dtype", "torch_dtype") if config.get(key)}
    if all(config[key] == value for key, value in types.items()):
        shutil.copyfile(source, target)
    else:
        _write_json(target, config | types)


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not readable JSON: {error}") from error


def _write_json(path: Path, content: Mapping) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _sync(path: Path) -> None:
    """Asks the operating system to bring a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
