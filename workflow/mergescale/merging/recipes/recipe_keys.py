"""Which keys and names a recipe may hold: a typo is an error, never ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mergescale.merging.method import LAMBDA
from mergescale.merging.registry import all_methods
from mergescale.messages import did_you_mean, join_names

TOP_KEYS = ("base", "experts", "merges", "preset", "dtype", "shard_size", "tokenizers")
MERGE_KEYS = ("method", "experts", "seed", LAMBDA)


def check_keys(content: Mapping[str, Any], several: bool) -> None:
    """Raises ValueError for a key that is neither a recipe's nor a parameter of any method."""
    parameters = {p.name for method in all_methods().values() for p in method.parameters}
    of_merge = {*MERGE_KEYS, *parameters} - set(TOP_KEYS)
    for key in content:
        if key in of_merge and several:
            raise ValueError(
                f"{key} stands beside merges; with several merges it belongs to each of them"
            )
        if key not in of_merge and key not in TOP_KEYS:
            hint = did_you_mean(key, (*TOP_KEYS, *of_merge))
            allowed = join_names(dict.fromkeys((*TOP_KEYS, *MERGE_KEYS)))
            raise ValueError(
                f"{key!r} is not a key of a recipe{hint or ';'} "
                f"allowed: {allowed} and the method's parameters"
            )


def check_text_keys(content: Any, where: str) -> None:
    """Raises ValueError for a key that is not text, at any depth; none is read for a name."""
    if isinstance(content, dict):
        for key, value in content.items():
            if not isinstance(key, str):
                raise ValueError(f"{where}{key!r} is not text; a name like this needs quotes")
            check_text_keys(value, f"{where}{key}.")
    elif isinstance(content, list):
        for value in content:
            check_text_keys(value, where)


def check_merge_names(names: Iterable[str]) -> None:
    """Raises ValueError for what cannot be a folder, and for two that some systems take for one."""
    first: dict[str, str] = {}
    for name in names:
        if Path(name).name != name or not name.isprintable() or name.startswith(".") or not name:
            raise ValueError(f"merges.{name}: the name becomes a folder and cannot be {name!r}")
        if (other := first.setdefault(name.casefold(), name)) != name:
            raise ValueError(
                f"merges has {other} and {name}, which are one folder on macOS; names must differ "
                "in more than capital letters"
            )
