"""Writes the two files that follow from the typed configuration: config/README.md and the schema.

    python -m mergescale.config.reference [--check]

writes the table of every key, and the JSON schema with which editors complete and check YAML files.
With --check it only reports which of the two files are out of date, and fails if one is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mergescale.config.errors import TYPES
from mergescale.config.schema import child, of_any_key, range_in_words, resolve, schema

_ROOT = Path(__file__).resolve().parents[3]
SCHEMA_FILE = _ROOT / "workflow" / "schemas" / "config.schema.json"
README_FILE = _ROOT / "config" / "README.md"

HEAD = """\
# Configuration

`config.yaml` is the default study. To define another study, write a YAML file with only the keys
that differ:

```bash
make figures CONFIG=config/smoke.yaml          # or: snakemake --configfile config/smoke.yaml
```

Such an overlay is merged with `config.yaml` key by key:

- mappings are merged; lists and single values are replaced;
- a key set to `null` is removed: a category, a size or a method is no longer part of the study (and
  neither are the training overrides of that size); any other key takes its default again;
- give it a `study` name of its own: results go to the folder of that name under `results/`.

A wrong configuration stops the run before any job, with one line that names the key and what is
allowed. Write changes in files: `snakemake --config a=1` reaches top-level keys only, and may pass
numbers as text. `--configfile` takes all words that follow it, so write targets before it.

Editors with a YAML language server complete and check keys if a file begins with
`# yaml-language-server: $schema=../workflow/schemas/config.schema.json`.

## Every key

Written by `make reference` from the typed configuration (`workflow/mergescale/config/model.py`);
names in angle brackets are yours to choose.

| key | type | default | meaning |
|---|---|---|---|
"""
# Of mappings whose keys are names: what the names are of.
_PLACEHOLDERS = {
    "held_in": "category",
    "held_out": "category",
    "sizes": "size",
    "methods": "method",
    "revisions": "dataset",
}


def list_keys(
    node: dict[str, Any] | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every key below a node of the schema with its own resolved node, depth first."""
    node = resolve(schema()) if node is None else node
    names = list(node.get("properties", {}))
    if of_any_key(node):
        names.append(f"<{_PLACEHOLDERS.get(path[-1], 'parameter')}>")
    for name in names:
        entry = child(node, name)
        yield (*path, name), entry
        if (*path, name)[0::3] != ("training", "<size>"):  # overrides have the stage's keys
            yield from list_keys(entry, (*path, name))


def readme() -> str:
    """The text of config/README.md."""
    return HEAD + "".join(_row(path, node) for path, node in list_keys())


def schema_text() -> str:
    """The text of the JSON schema."""
    return (
        json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema(), indent=1)
        + "\n"
    )


def _row(path: tuple[str, ...], node: dict[str, Any]) -> str:
    kind, default = "", ""
    if "properties" not in node:
        kind = _kind(node)
        if "default" in node:
            default = f"`{_flow(node['default'])}`"
            if isinstance(node["default"], dict) and node["default"]:
                default = "see `config.yaml`"
    cells = (f"`{'.'.join(path)}`", kind, default, node.get("description", ""))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("...\n").strip()


def _kind(node: dict[str, Any]) -> str:
    """The type and range of a key in words."""
    if "enum" in node:
        return " or ".join(f"`{value}`" for value in node["enum"])
    if "type" not in node:
        return "value or list of values"
    kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
    if kinds == ["array"]:
        return f"list of {_kind(resolve(node['items']))}"
    names = TYPES | {"object": "mapping"}
    words = " or ".join(names[kind].removeprefix("a ") for kind in kinds)
    return f"{words} {range_in_words(node)}".strip()


def main(arguments: list[str]) -> int:
    """Write the two files, or with `--check` compare them; return the exit status."""
    wanted = {SCHEMA_FILE: schema_text(), README_FILE: readme()}
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
