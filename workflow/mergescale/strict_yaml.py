"""Reads a small YAML file from untrusted sources: safely, within bounds, each key once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_MAX_BYTES = 1_000_000
_MAX_VALUES = 100_000  # counted with everything that aliases repeat


class _RefusedError(ValueError):
    """YAML that is valid and still refused."""


def read_mapping(file: Path, *, may_be_empty: bool = False) -> dict[Any, Any]:
    """Return the mapping in a YAML file.

    Args:
        file: The file to read.
        may_be_empty: Whether an empty file is an empty mapping.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: In one line that names the file: it is not YAML, not a mapping, too large, or
            gives a key twice, which YAML itself would silently drop.
    """
    try:
        if file.is_dir():
            raise _RefusedError(f"{file} is a directory, not a YAML file")
        with file.open("rb") as stream:
            text = stream.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise _RefusedError(f"{file} is longer than {_MAX_BYTES:,} bytes")
        content = _construct(yaml.SafeLoader(text.decode()), file)
    except (FileNotFoundError, _RefusedError):
        raise
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror or error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{file} is not YAML: {line}{error.problem}") from None
    # yaml's constructors raise all of these for values that contradict their tags.
    except (
        *(ValueError, LookupError, AttributeError, TypeError, RecursionError),
        yaml.YAMLError,
    ) as error:
        raise ValueError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if content is None and may_be_empty:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{file} must be a mapping of keys to values")
    return content


def _construct(loader: Any, file: Path) -> Any:
    node = loader.get_single_node()
    if node is None:
        return None
    if _count_values(node, {}, file) > _MAX_VALUES:
        raise _RefusedError(f"{file} has aliases that repeat each other too often")
    return loader.construct_document(node)


def _count_values(node: yaml.Node, known: dict[yaml.Node, int], file: Path) -> int:
    """The number of values of a node once aliases are written out; checks keys on the way."""
    if node not in known:
        known[node] = _MAX_VALUES + 1  # for one that contains itself
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            _check_keys(node, file)
            below = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        known[node] = 1 + sum(_count_values(part, known, file) for part in below)
    return known[node]


def _check_keys(node: yaml.MappingNode, file: Path) -> None:
    seen = set()
    for key, _ in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else key
        if name in seen and key.tag != "tag:yaml.org,2002:merge":
            raise _RefusedError(
                f"{file}: line {key.start_mark.line + 1} gives the key {name} a second time"
            )
        seen.add(name)
