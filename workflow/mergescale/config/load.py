"""From configuration files to one complete, checked mapping."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mergescale.config import model_sizes, validators
from mergescale.config.errors import ConfigError, check_keys_are_text, describe
from mergescale.config.model import StudyConfig
from mergescale.plugins import PluginError
from mergescale.strict_yaml import read_mapping


def complete(config: dict[str, Any]) -> dict[str, Any]:
    """Return `config` without removed keys and with defaults, ready to run a study.

    Model sizes are in order of their number of parameters, all else as given.

    Raises:
        ConfigError: In one line that names the key, its value, and what is allowed.
    """
    config = apply_defaults(config)
    validators.check(config)
    return model_sizes.sort_sizes(config)


def apply_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """Return `config` without removed keys and with defaults, each key checked by itself.

    Raises:
        ConfigError: As `complete`.
    """
    validators.check_renamed_keys(config)
    check_keys_are_text(config)
    try:
        study = StudyConfig.model_validate(validators.without_removed_sizes(config))
    except ValidationError as error:
        raise ConfigError(describe(error)) from None
    return study.model_dump()


def complete_or_exit(config: dict[str, Any], files: Iterable[str | Path] = ()) -> dict[str, Any]:
    """As `complete`, for the Snakefile: a bad configuration prints one line and ends the process.

    Args:
        config: What Snakemake merged from its configuration files and `--config`.
        files: `workflow.configfiles`: those of the command line in order, then the Snakefile's own.
            Snakemake puts the keys of an overlay in front; here methods, categories and all else
            are in the order of the Snakefile's own file, new ones after them.
    """
    files = [*files]
    names = [_short(file) for file in files[-1:] + files[:-1]]
    try:
        for file in files:
            read(file)  # Snakemake's reader accepts a key that is given twice
        return complete(_in_order_of(read(files[-1]), config) if files else config)
    except ConfigError as error:
        print(f"config error: {', '.join(names) or '--config'}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except PluginError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def load(*files: str | Path) -> dict[str, Any]:
    """Read configuration files, each an overlay of those before it, and complete the result.

    Raises:
        ConfigError: As `complete`.
    """
    merged: dict[str, Any] = {}
    for file in files:
        _overlay(merged, read(file))
    return complete(merged)


def read(file: str | Path) -> dict[str, Any]:
    """Read one YAML file.

    Raises:
        ConfigError: It does not exist, is not a mapping, or gives a key twice.
    """
    try:
        return read_mapping(Path(_short(file)), may_be_empty=True)
    except FileNotFoundError:
        raise ConfigError(f"{_short(file)} does not exist") from None
    except ValueError as error:
        raise ConfigError(str(error)) from None


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
