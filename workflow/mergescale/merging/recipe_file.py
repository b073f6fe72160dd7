"""Merges as YAML files: this project's own form, and mergekit's for the methods that are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mergescale.merging import mergekit_file
from mergescale.merging.method import LAMBDA
from mergescale.merging.methods.registry import get_method
from mergescale.merging.presets import preset_settings
from mergescale.merging.stream import Merge

DTYPES = ("float32", "bfloat16", "float16")
_TOP = ("base", "experts", "merges", "preset", "dtype", "shard_size")
_OWN = ("path", "weight")
_MERGE = ("method", "experts", "seed", "weights", LAMBDA)


@dataclass(frozen=True)
class RecipeFile:
    """What a recipe asks for: models by folder, and merges of them.

    Attributes:
        base: the base's folder.
        experts: {name: folder}.
        merges: merges whose folders are relative to the output folder; a single one has ".".
    """

    base: Path
    experts: dict[str, Path]
    merges: list[Merge] = field(default_factory=list)

    def into(self, out: Path) -> list[Merge]:
        """The merges with their folders in `out`; a single one is `out` itself."""
        return [replace(merge, folder=out / merge.folder) for merge in self.merges]


def read_recipe(file: Path) -> RecipeFile:
    """Read a recipe in either form.

    Raises ValueError, one sentence that names the file and the key, for anything that is not
    understood: nothing is ignored silently.
    """
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds no mapping; a recipe has base, experts and method")
    try:
        if "merge_method" in content:
            content = mergekit_file.as_recipe(content)
        return _recipe(content, file.parent)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _recipe(content: Mapping[str, Any], beside: Path) -> RecipeFile:
    several = content.get("merges")
    shared = {key: value for key, value in content.items() if key not in _TOP}
    if several is not None and shared:
        raise ValueError(
            f"{min(shared)} stands beside merges; with several merges it belongs to each of them"
        )
    if not isinstance(content.get("base"), str):
        raise ValueError("base must be the folder of the base model")
    folders, own = _experts(content.get("experts"), beside)
    dtype = content.get("dtype", "float32")
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}, allowed are {', '.join(DTYPES)}")
    named = several if several is not None else {".": shared}
    if not isinstance(named, dict) or not named:
        raise ValueError("merges must be a mapping from names to methods")
    common = {
        "preset": content.get("preset", "paper"),
        "dtype": dtype,
        "shard_bytes": _shard_bytes(content.get("shard_size", "5GB")),
    }
    merges = [_merge(str(name), entry, folders, own, common) for name, entry in named.items()]
    return RecipeFile(_beside(content["base"], beside), folders, merges)


def _experts(given: Any, beside: Path) -> tuple[dict[str, Path], dict[str, dict]]:
    """{name: folder} and {name: what it has of its own}."""
    if isinstance(given, list):
        given = (
            {Path(str(e.get("path") if isinstance(e, dict) else e)).name: e for e in given}
            if len({str(e) for e in given}) == len(given)
            else {}
        )
    if not isinstance(given, dict) or not given:
        raise ValueError("experts must be a mapping from names to folders, or a list of folders")
    folders, own = {}, {}
    for name, entry in given.items():
        entry = {"path": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            raise ValueError(f"experts.{name} must be a folder, or a mapping with path")
        folders[str(name)] = _beside(entry["path"], beside)
        own[str(name)] = {key: value for key, value in entry.items() if key != "path"}
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
    if name != "." and (Path(name).name != name or name.startswith(".")):
        raise ValueError(f"{where}the name becomes a folder and cannot be {name!r}")
    try:
        method = get_method(str(entry["method"]))
        chosen = tuple(sorted(map(str, entry.get("experts", folders))))
        if unknown := set(chosen) - folders.keys():
            raise ValueError(f"expert {min(unknown)} is not among {', '.join(sorted(folders))}")
        method.check_experts(len(chosen))
        settings = preset_settings(common["preset"], method) | {
            key: value for key, value in entry.items() if key not in _MERGE
        }
        default = method.parameter(LAMBDA).values
        lam = method.checked_lambda(entry.get(LAMBDA, default[0] if len(default) == 1 else None))
        parameters = method.canonical(settings)
        weights, overrides = {}, {}
        for expert in chosen:
            mine = dict(own[expert])
            weights[expert] = _weight(mine.pop("weight", 1.0), expert)
            overrides[expert] = {
                key: method.canonical({**parameters, key: value})[key]
                for key, value in mine.items()
            }
        seed = entry.get("seed", 0) if method.stochastic else None
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
            raise ValueError(f"seed is {seed!r}, allowed is a whole number")
        return Merge(
            folder=Path(name),
            method=method,
            experts=chosen,
            lam=lam,
            parameters=parameters,
            own={expert: mine for expert, mine in overrides.items() if mine},
            weights=weights,
            seed=seed,
            dtype=common["dtype"],
            shard_bytes=common["shard_bytes"],
        )
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None


def _weight(value: Any, expert: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9:
        return float(value)
    raise ValueError(f"experts.{expert}.weight is {value!r}, allowed is a number")


def _shard_bytes(value: Any) -> int:
    from mergescale.merging.memory import parse_bytes

    try:
        return parse_bytes(value)
    except ValueError as error:
        raise ValueError(f"shard_size: {error}") from None


def _beside(folder: str, beside: Path) -> Path:
    """Folders are meant relative to the recipe."""
    return beside / Path(folder).expanduser()
