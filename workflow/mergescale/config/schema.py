"""Applies the schema: null removes a key, defaults fill the gaps, faults become one sentence."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from mergescale.config.errors import ConfigError, choose, dotted, shown

SCHEMA_FILE = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"

# Numbers such as 3e-4, which YAML 1.2 reads as numbers but YAML 1.1 (PyYAML, Snakemake) as text.
YAML_12_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+")

TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys to values",
    "null": "null",
}


@cache
def schema() -> dict:
    """The configuration schema as written in its file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(SCHEMA_FILE.read_text(encoding="utf-8"), Loader=loader)


def resolved(node: dict) -> dict:
    """Lay a node of the schema over the definition its `$ref` names."""
    if "$ref" not in node:
        return node
    definition = schema()["$defs"][node["$ref"].removeprefix("#/$defs/")]
    return {**definition, **{key: value for key, value in node.items() if key != "$ref"}}


def child(node: dict, key: str) -> dict | None:
    """The schema of `key` in the mapping that `node` describes; None if there is no such key."""
    entry = node.get("properties", {}).get(key, node.get("additionalProperties"))
    return resolved(entry) if isinstance(entry, dict) else None


def prepared(value: Any, node: dict | None = None) -> Any:
    """Copy `value` with removed keys left out, YAML 1.2 floats read and defaults filled in.

    A key set to null is removed, so that an overlay can take out what the default study put in; a
    misspelled key stays, to be reported. Values of a wrong type stay as they are.
    """
    node = resolved(schema() if node is None else node)
    if isinstance(value, dict) and node.get("type") == "object":
        known = {key: (entry, child(node, key)) for key, entry in value.items()}
        filled = {
            key: entry if inner is None else prepared(entry, inner)
            for key, (entry, inner) in known.items()
            if entry is not None or inner is None or not isinstance(key, str)
        }
        for key, entry in node.get("properties", {}).items():
            entry = resolved(entry)
            if key not in filled and "default" in entry:
                filled[key] = prepared(copy.deepcopy(entry["default"]), entry)
            elif key not in filled and "properties" in entry:
                filled[key] = prepared({}, entry)
        return filled
    if isinstance(value, list) and isinstance(node.get("items"), dict):
        return [prepared(entry, node["items"]) for entry in value]
    if isinstance(value, str) and "number" in node.get("type", ()):
        return float(value) if YAML_12_FLOAT.fullmatch(value) else value
    return copy.deepcopy(value)


def check(config: dict) -> None:
    """Raise ConfigError on the first fault against the schema; unknown keys come first."""
    for path in _odd_keys(config, ()):
        raise ConfigError(
            f"the key {shown(path[-1])} under {dotted(path[:-1])} is not text; write it in quotes"
        )
    faults = list(_validator().iter_errors(config))
    faults.sort(key=lambda fault: fault.validator != "additionalProperties")
    for fault in faults:
        raise ConfigError(_sentence(fault))


@cache
def _validator() -> jsonschema.protocols.Validator:
    """Draft 2020-12, but a number is finite, and 2.0 is no whole number (it would name files)."""
    base = jsonschema.Draft202012Validator
    types = base.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and math.isfinite(value)
            ),
        }
    )
    return jsonschema.validators.extend(base, type_checker=types)(schema())


def _odd_keys(value: Any, path: tuple) -> Iterator[tuple]:
    """Paths of keys that YAML read as something other than text, e.g. `350: ...` or `no: ...`."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if not isinstance(key, str):
                yield (*path, key)
            yield from _odd_keys(entry, (*path, str(key)))


def _sentence(fault: jsonschema.ValidationError) -> str:
    key, value, rule = dotted(fault.absolute_path), fault.instance, fault.schema
    entry = bool(fault.absolute_path) and isinstance(fault.absolute_path[-1], int)
    subject = f"{key} holds {shown(value)}" if entry else f"{key} is {shown(value)}"
    must = "each entry must be" if entry else "it must be"
    match fault.validator:
        case "additionalProperties":
            return _unknown_key(list(fault.absolute_path), value, rule)
        case "type":
            kinds = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
            range_ = range_in_words(rule)
            allowed = " or ".join(TYPES[kind] for kind in kinds) + (f" {range_}" if range_ else "")
            return f"{subject}, {must} {allowed}{_number_hint(value, kinds)}"
        case "enum":
            return f"{subject}; {choose(value, rule['enum'])}"
        case "pattern":
            if "propertyNames" in fault.absolute_schema_path:
                subject = f"{key} has the key {shown(value)}"
            return (
                f"{subject}; it names files, so it must begin with a letter or digit and hold only "
                "letters, digits, '_', '-' and '.'"
            )
        case "uniqueItems":
            twice = next(entry for index, entry in enumerate(value) if entry in value[:index])
            return f"{key} lists {shown(twice)} twice; each entry must be given once"
        case "minItems" | "minProperties" | "minLength":
            return f"{key} is empty; at least one entry must be given"
        case _:
            return f"{subject}; {must} {range_in_words(rule) or fault.message}"


def _unknown_key(path: list, mapping: dict, rule: dict) -> str:
    allowed = list(rule.get("properties", {}))
    name = next(key for key in mapping if key not in allowed)
    return f"{dotted([*path, name])} is not a key; {choose(name, allowed)}"


def range_in_words(rule: dict) -> str:
    """The range of a number in the schema, e.g. `between 0 and 1`; empty if there is none."""
    low, high = rule.get("minimum"), rule.get("maximum")
    if low is not None and high is not None:
        return f"between {low} and {high}"
    bounds = {
        "exclusiveMinimum": "above",
        "minimum": "at least",
        "exclusiveMaximum": "below",
        "maximum": "at most",
    }
    return " and ".join(f"{word} {rule[bound]}" for bound, word in bounds.items() if bound in rule)


def _number_hint(value: Any, kinds: list[str]) -> str:
    """`--config a=1` and quotes make text of numbers: say so."""
    if not isinstance(value, str) or not {"integer", "number"} & set(kinds):
        return ""
    try:
        float(value)
    except ValueError:
        return ""
    return " (write it without quotes, in a configuration file: --config may pass text)"
