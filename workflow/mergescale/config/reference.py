"""Keeps three files in step: config/config.yaml, the defaults in the schema, config/README.md.

    python -m mergescale.config.reference [--check]

copies the default study's values into the schema's `default:` entries and writes the table of every
key; with --check it only says which of the two files are out of date, and fails if one is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import yaml

from mergescale.config.load import read
from mergescale.config.schema import SCHEMA_FILE, TYPES, range_in_words, resolved

CONFIG_FOLDER = SCHEMA_FILE.parents[2] / "config"

HEAD = """\
# Configuration

`config.yaml` is the default study. A further study is a file of its own that says what differs:

```bash
make figures CONFIG=config/smoke.yaml          # or: snakemake --configfile config/smoke.yaml
```

Such an overlay is laid over `config.yaml` key by key:

- mappings are merged, lists and single values are replaced;
- a key set to `null` is removed: a category, a size or a method is gone from the study (with it the
  training overrides of that size), any other key takes its default again;
- give it a `study` name of its own, which is the folder under `results/` that it builds.

A wrong configuration stops before any job with one sentence that names the key and what is allowed.
Give changes in files: `snakemake --config a=1` reaches top-level keys only, and may pass text.

## Every key

Written by `make reference` from `workflow/schemas/config.schema.yaml`; names in angle brackets are
yours to choose.

| key | type | default | meaning |
|---|---|---|---|
"""


def keys(node: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    """Every key below a node of the schema with its own node, depth first."""
    children = list(node.get("properties", {}).items())
    if isinstance(node.get("additionalProperties"), dict):
        children.append((f"<{_placeholder(path)}>", node["additionalProperties"]))
    for key, entry in children:
        entry = resolved(entry)
        yield (*path, key), entry
        if (*path, key)[0::3] != ("training", "<size>"):  # the stage's own keys once more
            yield from keys(entry, (*path, key))


def readme(schema: dict) -> str:
    """The text of config/README.md."""
    return HEAD + "".join(_row(path, node) for path, node in keys(schema))


def with_defaults(schema_text: str, config: dict) -> str:
    """The text of the schema with each `default` replaced by what `config` has for that key."""
    root = yaml.compose(schema_text, Loader=yaml.SafeLoader)
    for path, node in sorted(
        _written_defaults(root, ()), key=lambda found: -found[1].start_mark.index
    ):
        value: Any = config
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            continue
        start = schema_text.rindex("default:", 0, node.start_mark.index)
        end = len(schema_text[: node.end_mark.index].rstrip())
        indent = start - schema_text.rindex("\n", 0, start) + 1
        schema_text = schema_text[:start] + "default:" + _written(value, indent) + schema_text[end:]
    return schema_text


def _written_defaults(node: yaml.MappingNode, path: tuple) -> Iterator[tuple[tuple, yaml.Node]]:
    """Paths of keys with the place where the schema file writes their default."""
    entries = {key.value: value for key, value in node.value}
    if path and "default" in entries:
        yield path, entries["default"]
    if "properties" in entries:
        for key, value in entries["properties"].value:
            yield from _written_defaults(value, (*path, key.value))


def _written(value: Any, indent: int) -> str:
    """A value as it follows `default:`: on the same line, or a nested mapping line by line."""
    if isinstance(value, dict) and any(isinstance(entry, dict | list) for entry in value.values()):
        lines = (f"{key}: {_flow(entry)}" for key, entry in value.items())
        return "".join(f"\n{' ' * indent}{line}" for line in lines)
    return " " + _flow(value)


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("...\n").strip()


def _placeholder(path: tuple[str, ...]) -> str:
    names = {"held_in": "category", "held_out": "category", "sizes": "size", "methods": "method"}
    names |= {"revisions": "dataset"}
    return names.get(path[-1], "parameter")


def _row(path: tuple[str, ...], node: dict) -> str:
    if "properties" in node and "default" not in node:
        kind, default = "", ""
    else:
        kind = _kind(node)
        default = f"`{_flow(node['default'])}`" if "default" in node else ""
        if isinstance(node.get("default"), dict) and node["default"]:
            default = "see `config.yaml`"
    cells = (f"`{'.'.join(path)}`", kind, default, node.get("description", ""))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _kind(node: dict) -> str:
    if "enum" in node:
        return " or ".join(f"`{value}`" for value in node["enum"])
    kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
    if kinds == ["array"]:
        return f"list of {_kind(node['items'])}"
    names = {**TYPES, "object": "mapping"}
    words = " or ".join(names[kind].removeprefix("a ") for kind in kinds)
    return f"{words} {range_in_words(node)}".strip()


def main(arguments: list[str]) -> int:
    """Write, or with `--check` compare, the schema's defaults and the README."""
    schema_text = SCHEMA_FILE.read_text(encoding="utf-8")
    synced = with_defaults(schema_text, read(CONFIG_FOLDER / "config.yaml"))
    wanted = {SCHEMA_FILE: synced, CONFIG_FOLDER / "README.md": readme(yaml.safe_load(synced))}
    stale = [
        file
        for file, text in wanted.items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]
    if "--check" in arguments:
        for file in stale:
            print(f"{file} is out of date; run `make reference`", file=sys.stderr)
        return 1 if stale else 0
    for file in stale:
        file.write_text(wanted[file], encoding="utf-8")
        print(f"wrote {file}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
