"""The one exception of a bad configuration, and its message from what pydantic found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from mergescale.config.schema import child, range_in_words, resolve, schema
from mergescale.messages import format_value, suggest

TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys to values",
    "null": "null",
}
_KEY = "[key]"  # how pydantic marks that a key, not its value, is wrong


class ConfigError(ValueError):
    """A configuration that no study can be run with; the message is one line for the user."""


def dotted(path: Iterable[Any]) -> str:
    """Write the path of a key as in `merging.methods.ties`; positions in lists are left out."""
    return ".".join(str(part) for part in path if not isinstance(part, int)) or "the configuration"


def check_keys_are_text(config: Any) -> None:
    """Keys that YAML read as something other than text, e.g. `350: ...` or `no: ...`.

    Raises:
        ConfigError: There is one.
    """
    for path in _keys_not_text(config, ()):
        raise ConfigError(
            f"the key {format_value(path[-1])} under {dotted(path[:-1])} is not text; write it in "
            "quotes"
        )


def _keys_not_text(value: Any, path: tuple) -> Iterator[tuple]:
    if isinstance(value, dict):
        for key, entry in value.items():
            if not isinstance(key, str):
                yield (*path, key)
            yield from _keys_not_text(entry, (*path, str(key)))


def describe(error: ValidationError) -> str:
    """The first fault in one line: the key, its value, and what is allowed.

    Unknown keys come first: a misspelled key often explains the faults of others.
    """
    faults = error.errors(include_url=False)
    return _describe(min(faults, key=lambda fault: fault["type"] != "extra_forbidden"))


def _describe(fault: dict[str, Any]) -> str:
    path, value = list(fault["loc"]), fault["input"]
    if fault["type"] == "extra_forbidden":
        allowed = _node(path[:-1]).get("properties", {})
        return f"{dotted(path)} is not a key; {suggest(path[-1], allowed)}"
    if path[-1:] == [_KEY]:
        subject = f"{dotted(path[:-2])} has the key {format_value(value)}"
        return f"{subject}; {_NAME}"
    node = _node(path)
    entry = bool(path) and isinstance(path[-1], int)
    key = dotted(path)
    subject = f"{key} holds {format_value(value)}" if entry else f"{key} is {format_value(value)}"
    must = "each entry must be" if entry else "it must be"
    match fault["type"]:
        case "literal_error":
            return f"{subject}; {suggest(value, node['enum'])}"
        case "string_pattern_mismatch":
            return f"{subject}; {_NAME}"
        case "duplicate":
            twice = format_value(fault["ctx"]["value"])
            return f"{key} lists {twice} twice; each entry must be given once"
        case "too_short" | "string_too_short":
            return f"{key} is empty; at least one entry must be given"
        case kind if kind.endswith(("_type", "_from_float")) or kind == "finite_number":
            kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
            allowed = " or ".join(TYPES[kind] for kind in kinds)
            hint = _hint(value, kinds)
            return f"{subject}; {must} {f'{allowed} {range_in_words(node)}'.strip()}{hint}"
        case _:
            return f"{subject}; {must} {range_in_words(node) or fault['msg']}"


_NAME = (
    "it names files, so it must begin with a letter or digit and contain only letters, digits, "
    "'_', '-' and '.'"
)


def _node(path: Iterable[Any]) -> dict:
    """The schema of the key at a path."""
    node = resolve(schema())
    for part in path:
        node = child(node, part) or {}
    return node


def _hint(value: Any, kinds: list[str]) -> str:
    """`--config a=1` and quotes make text of numbers; so does YAML 1.1 with `1e3`."""
    if not isinstance(value, str) or not {"integer", "number"} & set(kinds):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if "integer" in kinds and "e" in value.lower() and number.is_integer():
        return f" (written out: {int(number)})"
    return " (write it without quotes, in a configuration file: --config may pass text)"
