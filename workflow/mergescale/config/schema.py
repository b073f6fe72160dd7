"""The JSON schema of the typed configuration, for messages, the reference and editors."""

from __future__ import annotations

from functools import cache
from typing import Any

from mergescale.config.model import StudyConfig


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of a study's configuration, without pydantic's titles of single keys."""
    made = StudyConfig.model_json_schema()
    for section in (made, *made["$defs"].values()):
        for node in section.get("properties", {}).values():
            node.pop("title", None)
    made["title"] = "configuration of a mergescale study"
    return made


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """A node with what it refers to, and with `X or null` as two types of one node.

    A key without a default has no null: setting it to null removes it.
    """
    if "$ref" in node:
        definition = schema()["$defs"][node["$ref"].removeprefix("#/$defs/")]
        node = {**definition, **{key: value for key, value in node.items() if key != "$ref"}}
    if "anyOf" in node:
        (kind,) = (entry for entry in node["anyOf"] if entry.get("type") != "null")
        node = {**node, **kind}
        if "default" in node:
            node["type"] = [node["type"], "null"]
        del node["anyOf"]
    return node


def child(node: dict[str, Any], key: str | int) -> dict[str, Any] | None:
    """The resolved schema of a key, or of an entry of a list; None if there is no such key."""
    if isinstance(key, int):
        entry = node.get("items")
    else:
        entry = node.get("properties", {}).get(key, of_any_key(node))
    return resolve(entry) if isinstance(entry, dict) else None


def of_any_key(node: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of the entries of a mapping whose keys are names; None for a section."""
    entry = next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties"))
    return entry if isinstance(entry, dict) else None


def range_in_words(node: dict[str, Any]) -> str:
    """The range of a number in the schema, e.g. `between 0 and 1`; empty if there is none."""
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f"between {low} and {high}"
    bounds = {
        "exclusiveMinimum": "above",
        "minimum": "at least",
        "exclusiveMaximum": "below",
        "maximum": "at most",
    }
    return " and ".join(f"{word} {node[bound]}" for bound, word in bounds.items() if bound in node)
