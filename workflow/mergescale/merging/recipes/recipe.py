"""Reads recipes: YAML files that say which models are merged, and how.

    base: models/llama
    experts: {math: models/llama-math, code: models/llama-code}
    method: ties
    density: 0.2
    lambda: 0.5
    dtype: bfloat16

docs/merging.md describes all keys.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mergescale.merging.engine.memory import parse_bytes
from mergescale.merging.engine.merge_spec import Merge
from mergescale.merging.method import LAMBDA, Method, Parameter, quote
from mergescale.merging.parameters import TensorParameter
from mergescale.merging.recipes.mergekit import convert_recipe
from mergescale.merging.recipes.presets import preset_parameters
from mergescale.merging.registry import all_methods, get_method
from mergescale.merging.statistics import StatisticsFile
from mergescale.messages import did_you_mean, join_names
from mergescale.strict_yaml import read_mapping

DTYPES = ("float32", "bfloat16", "float16")
TOKENIZERS = ("same", "ignore")
TOP_KEYS = ("base", "experts", "merges", "preset", "dtype", "shard_size", "tokenizers")
MERGE_KEYS = ("method", "experts", "seed", LAMBDA)


@dataclass(frozen=True)
class RecipeFile:
    """The content of a recipe.

    Attributes:
        base: Folder of the base.
        experts: {name: folder}.
        merges: The merges, with folders relative to the output; a single one has ".".
        tokenizers: "same" if experts must have the base's tokenizer, or "ignore".
    """

    base: Path
    experts: dict[str, Path]
    merges: list[Merge] = field(default_factory=list)
    tokenizers: str = "same"

    def into(self, out: Path) -> list[Merge]:
        """The merges with their folders in `out`; a single one is `out` itself."""
        return [replace(merge, folder=out / merge.folder) for merge in self.merges]


@dataclass(frozen=True)
class _Expert:
    """An expert as a recipe describes it: folder, weight, own parameters, statistics files."""

    folder: Path
    weight: Any
    parameters: dict[str, Any]
    statistics: dict[str, Path]


def read_recipe(file: Path) -> RecipeFile:
    """Read a recipe in this project's format or in mergekit's.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: Something is not understood; nothing is ignored silently. The message names the
            file and the key.
    """
    content = read_mapping(file)
    try:
        _check_text_keys(content, "")
        if "merge_method" in content:
            content = convert_recipe(content)
        return _parse_recipe(content, file.parent)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    except OverflowError:
        raise ValueError(f"{file}: a number is too large") from None


def _parse_recipe(content: Mapping[str, Any], folder: Path) -> RecipeFile:
    several = content.get("merges")
    _check_keys(content, several is not None)
    if not isinstance(content.get("base"), str) or not content["base"]:
        raise ValueError("base must be the folder of the base model")
    experts = _parse_experts(content.get("experts"), folder)
    dtype = content.get("dtype", "float32")
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; allowed: {join_names(DTYPES)}")
    tokenizers = content.get("tokenizers", "same")
    if tokenizers not in TOKENIZERS:
        raise ValueError(f"tokenizers is {tokenizers!r}; allowed: {join_names(TOKENIZERS)}")
    single = {key: value for key, value in content.items() if key not in TOP_KEYS}
    named = several if several is not None else {".": single}
    if not isinstance(named, dict) or not named:
        raise ValueError("merges must be a mapping from names to methods")
    if several is not None:
        _check_merge_names(several)
    common = {
        "preset": content.get("preset", "paper"),
        "dtype": dtype,
        "shard_bytes": _parse_shard_size(content.get("shard_size", "5GB")),
    }
    merges = [_parse_merge(name, entry, experts, common) for name, entry in named.items()]
    for name, expert in experts.items():
        used = {s for merge in merges for s in merge.statistics_files.get(name, {})}
        if unused := sorted(expert.statistics.keys() - used):
            raise ValueError(f"experts.{name}.statistics.{unused[0]}: no method requires it")
    folders = {name: expert.folder for name, expert in experts.items()}
    return RecipeFile(_resolve_path(content["base"], folder), folders, merges, tokenizers)


def _parse_experts(given: Any, folder: Path) -> dict[str, _Expert]:
    """Experts by name; folders are relative to `folder`."""
    if isinstance(given, list):
        listed: dict[str, Any] = {}
        for entry in given:
            name = Path(str(entry.get("path") if isinstance(entry, dict) else entry)).name
            if name in listed:
                raise ValueError(
                    f"experts lists {name!r} twice: write a mapping from names to folders instead"
                )
            listed[name] = entry
        given = listed
    if not isinstance(given, dict) or not given:
        raise ValueError("experts must be a mapping from names to folders, or a list of folders")
    experts = {}
    for name, entry in given.items():
        if not name or not name.isprintable():
            raise ValueError(f"experts: {name!r} cannot be a name")
        entry = {"path": entry} if isinstance(entry, str) else entry
        path = entry.get("path") if isinstance(entry, dict) else None
        if not isinstance(path, str) or not path:
            raise ValueError(f"experts.{name} must be a folder, or a mapping with path")
        files = entry.get("statistics", {})
        if not isinstance(files, dict) or not all(isinstance(f, str) and f for f in files.values()):
            raise ValueError(
                f"experts.{name}.statistics must be a mapping from names to safetensors files"
            )
        own = {k: v for k, v in entry.items() if k not in ("path", "weight", "statistics")}
        experts[name] = _Expert(
            folder=_resolve_path(path, folder),
            weight=entry.get("weight", 1.0),
            parameters=own,
            statistics={key: _resolve_path(file, folder) for key, file in files.items()},
        )
    return experts


def _parse_merge(
    name: str, entry: Any, experts: Mapping[str, _Expert], common: Mapping[str, Any]
) -> Merge:
    where = "" if name == "." else f"merges.{name}: "
    if not isinstance(entry, dict) or "method" not in entry:
        raise ValueError(f"{where}method is missing")
    try:
        method = get_method(str(entry["method"]))
        chosen = _choose_experts(entry.get("experts", list(experts)), experts)
        method.check_experts(len(chosen))
        parameters = _parse_parameters(method, entry, common["preset"])
        default = method.parameter(LAMBDA).values
        lam = _parse_lambda(method, entry.get(LAMBDA, default[0] if len(default) == 1 else None))
        weights = {expert: _parse_weight(method, expert, experts[expert]) for expert in chosen}
        if not any(isinstance(weight, TensorParameter) for weight in weights.values()):
            method.check_weights(list(weights.values()))
        overrides = {
            expert: _parse_overrides(method, expert, experts[expert].parameters, parameters)
            for expert in chosen
        }
        seed = entry.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ValueError(f"seed is {quote(seed)}, must be a whole number")
        merge = Merge(
            folder=Path(name),
            method=method,
            experts=chosen,
            lam=lam,
            parameters=parameters,
            overrides={expert: own for expert, own in overrides.items() if own},
            weights=weights,
            seed=seed if method.stochastic else None,
            dtype=common["dtype"],
            shard_bytes=common["shard_bytes"],
        )
        return replace(merge, statistics_files=_find_statistics_files(merge, experts))
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None


def _parse_parameters(method: Method, entry: Mapping[str, Any], preset: Any) -> dict[str, Any]:
    """All of a method's parameters but lambda."""
    given = preset_parameters(preset, method) | {
        key: value for key, value in entry.items() if key not in MERGE_KEYS
    }
    by_tensor = {
        key: _parse_value(method, method.parameter(key), value)
        for key, value in given.items()
        if _is_rules(value)
    }
    # Any value of the rules will do here: they have been checked.
    parameters = method.canonical(given | {k: rules.values[-1] for k, rules in by_tensor.items()})
    return {key: by_tensor.get(key, value) for key, value in parameters.items()}


def _parse_overrides(
    method: Method, expert: str, given: Mapping[str, Any], common: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters of an expert that differ from those of the merge."""
    overrides = {}
    for key, value in given.items():
        parameter = method.parameter(key)
        if not parameter.per_expert:
            raise ValueError(
                f"experts.{expert}.{key}: {key} is common to all experts; put it beside method"
            )
        own = _parse_value(method, parameter, value)
        if own != common.get(key, parameter.values[0]):
            overrides[key] = own
    return overrides


def _parse_value(method: Method, parameter: Parameter, value: Any) -> Any:
    """A parameter's value in canonical form, or its rules by tensor."""

    def check(one: Any) -> Any:
        return method.checked(parameter.name, one)

    if not _is_rules(value):
        return check(value)
    if parameter.choices or parameter.fixed:
        raise ValueError(f"{method.name}: {parameter.name} cannot depend on the tensor")
    return _parse_rules(f"{method.name}: {parameter.name}", value, check)


def _parse_rules(label: str, rules: list, check: Callable[[Any], Any]) -> TensorParameter:
    try:
        return TensorParameter.parse(rules, check)
    except ValueError as error:
        message = str(error)
        raise ValueError(message if message.startswith(label) else f"{label}: {message}") from None


def _is_rules(value: Any) -> bool:
    """Whether a value is a list of {filter, value}, and not a mistaken list of numbers."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _parse_lambda(method: Method, value: Any) -> float:
    if _is_rules(value):
        raise ValueError(f"{LAMBDA} cannot depend on the tensor; weights of experts can")
    if type(value) in (int, float) and value > 1 and method.sweeps_lambda:
        raise ValueError(
            f"{method.name}: {LAMBDA} is {value}, must be in [0, 1]: larger values are not "
            "supported so far"
        )
    return method.checked_lambda(value)


def _parse_weight(method: Method, name: str, expert: _Expert) -> float | TensorParameter:
    label = f"experts.{name}.weight"

    def check(value: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9:
            return float(value)
        raise ValueError(f"{label} is {quote(value)}, must be a number between -1e9 and 1e9")

    weight = expert.weight
    weight = _parse_rules(label, weight, check) if _is_rules(weight) else check(weight)
    if weight != 1 and not method.weighted:
        raise ValueError(f"{label}: {method.name} does not use weights")
    return weight


def _choose_experts(names: Any, experts: Mapping[str, _Expert]) -> tuple[str, ...]:
    """The names of a merge's experts, sorted."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("experts of a merge must be a list of names")
    if unknown := set(names) - experts.keys():
        raise ValueError(f"expert {min(unknown)} is not among {join_names(sorted(experts))}")
    by_folder: dict[str, str] = {}
    for name in sorted(names):
        folder = os.path.realpath(experts[name].folder)
        if folder in by_folder:
            raise ValueError(
                f"experts {by_folder[folder]} and {name} are the same folder, {folder}"
            )
        by_folder[folder] = name
    return tuple(by_folder.values())


def _find_statistics_files(
    merge: Merge, experts: Mapping[str, _Expert]
) -> dict[str, dict[str, Path]]:
    """The statistics files that the method requires of each expert."""
    files: dict[str, dict[str, Path]] = {}
    for expert, required in zip(merge.experts, merge.in_tensor("").statistics, strict=True):
        for spec in required.values():
            if not isinstance(spec, StatisticsFile):
                continue
            if spec.kind not in experts[expert].statistics:
                raise ValueError(
                    f"{merge.method.name} needs {spec.kind} statistics of expert {expert}: write "
                    f"{expert}: {{path: ..., statistics: {{{spec.kind}: FILE.safetensors}}}}"
                )
            files.setdefault(expert, {})[spec.kind] = experts[expert].statistics[spec.kind]
    return files


def _check_keys(content: Mapping[str, Any], several: bool) -> None:
    """Raises ValueError for a key that is neither a recipe's nor a parameter of any method."""
    parameters = {p.name for method in all_methods().values() for p in method.parameters}
    merge_keys = {*MERGE_KEYS, *parameters} - set(TOP_KEYS)
    for key in content:
        if key in merge_keys and several:
            raise ValueError(f"{key} is beside merges; move it into each of them")
        if key not in merge_keys and key not in TOP_KEYS:
            hint = did_you_mean(key, (*TOP_KEYS, *merge_keys))
            allowed = join_names(dict.fromkeys((*TOP_KEYS, *MERGE_KEYS)))
            raise ValueError(
                f"{key!r} is not a key of a recipe{hint or ';'} allowed: {allowed} and the "
                "method's parameters"
            )


def _check_text_keys(content: Any, where: str) -> None:
    """Raises ValueError for a key that is not text, at any depth."""
    if isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(key, str):
                raise ValueError(f"{where}{key!r} is not text; put such a name in quotes")
            _check_text_keys(value, f"{where}{key}.")
    elif isinstance(content, list):
        for value in content:
            _check_text_keys(value, where)


def _check_merge_names(names: Iterable[str]) -> None:
    """Raises ValueError for a name that cannot be a folder, or that equals another but for case."""
    first: dict[str, str] = {}
    for name in names:
        if Path(name).name != name or not name.isprintable() or name.startswith(".") or not name:
            raise ValueError(f"merges.{name}: the name becomes a folder and cannot be {name!r}")
        if (other := first.setdefault(name.casefold(), name)) != name:
            raise ValueError(
                f"merges has {other} and {name}, which are the same folder on macOS; names must "
                "differ in more than capital letters"
            )


def _parse_shard_size(value: Any) -> int:
    try:
        return parse_bytes(value)
    except ValueError as error:
        raise ValueError(f"shard_size: {error}") from None


def _resolve_path(path: str, folder: Path) -> Path:
    """A path of a recipe, which is relative to the recipe's folder."""
    if "\0" in path or any("\ud800" <= letter <= "\udfff" for letter in path):
        raise ValueError(f"{path!r} cannot be a path")
    try:
        return folder / Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"{path}: there is no such user") from None
