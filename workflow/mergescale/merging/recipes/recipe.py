"""Merges as YAML files: this project's own form, and mergekit's for the methods that are here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.method import LAMBDA, quote
from mergescale.merging.recipes import mergekit as mergekit_file
from mergescale.merging.recipes.presets import preset_settings
from mergescale.merging.recipes.recipe_keys import (
    MERGE_KEYS,
    TOP_KEYS,
    check_keys,
    check_merge_names,
    check_text_keys,
)
from mergescale.merging.registry import get_method

DTYPES = ("float32", "bfloat16", "float16")
TOKENIZERS = ("same", "ignore")


@dataclass(frozen=True)
class RecipeFile:
    """What a recipe asks for: models by folder, and merges of them.

    Attributes:
        base: the base's folder.
        experts: {name: folder}.
        merges: merges whose folders are relative to the output folder; a single one has ".".
        tokenizers: "same" where an expert with another tokenizer is an error, or "ignore".
    """

    base: Path
    experts: dict[str, Path]
    merges: list[Merge] = field(default_factory=list)
    tokenizers: str = "same"

    def into(self, out: Path) -> list[Merge]:
        """The merges with their folders in `out`; a single one is `out` itself."""
        return [replace(merge, folder=out / merge.folder) for merge in self.merges]


def read_recipe(file: Path) -> RecipeFile:
    """Read a recipe in either form.

    Raises ValueError, one sentence that names the file and the key, for anything that is not
    understood: nothing is ignored silently.
    """
    from mergescale.strict_yaml import read_mapping

    content = read_mapping(file)
    try:
        check_text_keys(content, "")
        if "merge_method" in content:
            content = mergekit_file.as_recipe(content)
        return _recipe(content, file.parent)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    except OverflowError:
        raise ValueError(f"{file}: a number is too large") from None


def _recipe(content: Mapping[str, Any], beside: Path) -> RecipeFile:
    several = content.get("merges")
    check_keys(content, several is not None)
    shared = {key: value for key, value in content.items() if key not in TOP_KEYS}
    if not isinstance(content.get("base"), str) or not content["base"]:
        raise ValueError("base must be the folder of the base model")
    folders, own = _experts(content.get("experts"), beside)
    dtype = content.get("dtype", "float32")
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}, allowed are {', '.join(DTYPES)}")
    tokenizers = content.get("tokenizers", "same")
    if tokenizers not in TOKENIZERS:
        raise ValueError(f"tokenizers is {tokenizers!r}, allowed are {', '.join(TOKENIZERS)}")
    named = several if several is not None else {".": shared}
    if not isinstance(named, dict) or not named:
        raise ValueError("merges must be a mapping from names to methods")
    if several is not None:
        check_merge_names(several)
    common = {
        "preset": content.get("preset", "paper"),
        "dtype": dtype,
        "shard_bytes": _shard_bytes(content.get("shard_size", "5GB")),
    }
    merges = [_merge(name, entry, folders, own, common) for name, entry in named.items()]
    return RecipeFile(_beside(content["base"], beside), folders, merges, tokenizers)


def _experts(given: Any, beside: Path) -> tuple[dict[str, Path], dict[str, dict]]:
    """{name: folder} and {name: what it has of its own}."""
    if isinstance(given, list):
        listed: dict[str, Any] = {}
        for entry in given:
            name = Path(str(entry.get("path") if isinstance(entry, dict) else entry)).name
            if name in listed:
                raise ValueError(
                    f"experts lists {name!r} twice: give them names, as a mapping from names to "
                    "folders"
                )
            listed[name] = entry
        given = listed
    if not isinstance(given, dict) or not given:
        raise ValueError("experts must be a mapping from names to folders, or a list of folders")
    folders, own = {}, {}
    for name, entry in given.items():
        if not name or not name.isprintable():
            raise ValueError(f"experts: {name!r} cannot be a name")
        entry = {"path": entry} if isinstance(entry, str) else entry
        path = entry.get("path") if isinstance(entry, dict) else None
        if not isinstance(path, str) or not path:
            raise ValueError(f"experts.{name} must be a folder, or a mapping with path")
        folders[name] = _beside(path, beside)
        own[name] = {key: value for key, value in entry.items() if key != "path"}
    return folders, own


def _merge(
    name: str,
    entry: Any,
    folders: Mapping[str, Path],
    own: Mapping[str, Mapping[str, Any]],
    common: Mapping[str, Any],
) -> Merge:
    where = "" if name == "." else f"merges.{name}: "
    if not isinstance(entry, dict) or "method" not in entry:
        raise ValueError(f"{where}method is missing")
    try:
        method = get_method(str(entry["method"]))
        chosen = _chosen(entry.get("experts", list(folders)), folders)
        method.check_experts(len(chosen))
        settings = preset_settings(common["preset"], method) | {
            key: value for key, value in entry.items() if key not in MERGE_KEYS
        }
        default = method.parameter(LAMBDA).values
        lam = method.checked_lambda(entry.get(LAMBDA, default[0] if len(default) == 1 else None))
        parameters = method.canonical(settings)
        weights, overrides = {}, {}

        def common_value(key: str) -> Any:
            return parameters.get(key, method.parameter(key).values[0])

        for expert in chosen:
            mine = dict(own[expert])
            weights[expert] = _weight(mine.pop("weight", 1.0), expert)
            if weights[expert] != 1 and not method.weighted:
                raise ValueError(f"experts.{expert}.weight: {method.name} knows no weights")
            for key in mine:
                if not method.parameter(key).per_expert:
                    raise ValueError(
                        f"experts.{expert}.{key}: {key} is common to all experts; put it beside "
                        "method"
                    )
            checked = {key: method.checked(key, value) for key, value in mine.items()}
            overrides[expert] = {k: v for k, v in checked.items() if v != common_value(k)}
        method.check_weights(list(weights.values()))
        seed = entry.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ValueError(f"seed is {quote(seed)}, allowed is a whole number")
        return Merge(
            folder=Path(name),
            method=method,
            experts=chosen,
            lam=lam,
            parameters=parameters,
            own={expert: mine for expert, mine in overrides.items() if mine},
            weights=weights,
            seed=seed if method.stochastic else None,
            dtype=common["dtype"],
            shard_bytes=common["shard_bytes"],
        )
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None


def _chosen(names: Any, folders: Mapping[str, Path]) -> tuple[str, ...]:
    """The names of a merge's experts, sorted."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("experts of a merge must be a list of names")
    if unknown := set(names) - folders.keys():
        raise ValueError(f"expert {min(unknown)} is not among {', '.join(sorted(folders))}")
    seen: dict[str, str] = {}
    for name in sorted(names):
        folder = os.path.realpath(folders[name])
        if folder in seen:
            raise ValueError(f"experts {seen[folder]} and {name} are the same folder, {folder}")
        seen[folder] = name
    return tuple(seen.values())


def _weight(value: Any, expert: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9:
        return float(value)
    raise ValueError(
        f"experts.{expert}.weight is {quote(value)}, allowed is a number between -1e9 and 1e9"
    )


def _shard_bytes(value: Any) -> int:
    from mergescale.merging.engine.memory import parse_bytes

    try:
        return parse_bytes(value)
    except ValueError as error:
        raise ValueError(f"shard_size: {error}") from None


def _beside(folder: str, beside: Path) -> Path:
    """Folders are meant relative to the recipe."""
    if "\0" in folder or any("\ud800" <= letter <= "\udfff" for letter in folder):
        raise ValueError(f"{folder!r} cannot be a folder")
    try:
        return beside / Path(folder).expanduser()
    except RuntimeError:
        raise ValueError(f"{folder}: there is no such user's folder") from None
