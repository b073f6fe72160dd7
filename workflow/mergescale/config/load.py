"""From configuration files to one complete, checked mapping."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable
from pathlib import Path

import yaml

from mergescale.config import schema
from mergescale.config import validators as rules
from mergescale.config.errors import ConfigError, shown


def complete(config: dict) -> dict:
    """Return `config` with removed keys left out and defaults filled in, fit to run a study.

    Raises ConfigError, one sentence that names the key, what was given and what is allowed.
    """
    config = rules.without_removed_sizes(config)
    config = schema.prepared(config)
    schema.check(config)
    rules.check(config)
    return config


def complete_or_exit(config: dict, files: Iterable[str | Path] = ()) -> dict:
    """As `complete`, for the Snakefile: a bad configuration prints one line and ends the process.

    `files` are the configuration files that `config` was merged from, `workflow.configfiles` in
    Snakemake: those of the command line in order, then the Snakefile's own. Snakemake puts the keys
    of an overlay in front; here sizes, methods and all else stand in the order of the Snakefile's
    own file, new ones after them.
    """
    files = [*files]
    names = [_short(file) for file in files[-1:] + files[:-1]]
    try:
        for file in files:
            read(file)  # Snakemake's reader lets a key given twice pass
        return complete(_in_order_of(read(files[-1]), config) if files else config)
    except ConfigError as error:
        print(f"config error: {', '.join(names) or '--config'}: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def load(*files: str | Path) -> dict:
    """Read configuration files, each laid over those before it, and complete the result."""
    merged: dict = {}
    for file in files:
        _overlay(merged, read(file))
    return complete(merged)


def read(file: str | Path) -> dict:
    """Read one YAML file; ConfigError if it is no mapping, or gives a key twice."""
    try:
        content = yaml.load(Path(file).read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{_short(file)} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{_short(file)} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict | None):
        raise ConfigError(f"{_short(file)} holds {shown(content)}; it must be a mapping of keys")
    return content or {}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML safely and refuses a key that is given twice, which YAML would silently drop."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key_node.tag == "tag:yaml.org,2002:merge" or not isinstance(key, Hashable):
                continue
            if key in seen:
                line = key_node.start_mark.line + 1
                raise ConfigError(f"line {line} gives the key {shown(key)} a second time")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _overlay(base: dict, over: dict) -> None:
    """Merge as Snakemake merges configuration files: mappings merge, all else replaces."""
    for key, value in over.items():
        if isinstance(value, dict):
            if not isinstance(base.get(key), dict):
                base[key] = {}
            _overlay(base[key], value)
        else:
            base[key] = value


def _in_order_of(first: dict, config: dict) -> dict:
    """The same mapping with the keys of `first` first, in their order, at every level."""
    keys = [key for key in first if key in config] + [key for key in config if key not in first]
    return {
        key: _in_order_of(first[key], config[key])
        if isinstance(first.get(key), dict) and isinstance(config[key], dict)
        else config[key]
        for key in keys
    }


def _short(file: str | Path) -> str:
    """A path as the user would type it."""
    path = Path(file)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
