"""Reads a small YAML file from a stranger: safely, within bounds, every key once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_MOST_BYTES = 1_000_000
_MOST_VALUES = 100_000  # with everything counted as often as aliases repeat it


def read_mapping(file: Path) -> dict[Any, Any]:
    """The mapping in a file.

    Raises FileNotFoundError, and ValueError in one sentence that names the file for what is no
    YAML, no mapping, too large, or gives a key twice (which YAML would silently drop).
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ValueError(f"it is longer than {_MOST_BYTES:,} bytes")
        loader = yaml.SafeLoader(text.decode())
        node = loader.get_single_node()
        if node is None:
            content = None
        elif _values(node, {}) > _MOST_VALUES:
            raise ValueError("aliases repeat each other too often")
        else:
            content = loader.construct_document(node)
    except FileNotFoundError:
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
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds no mapping; a recipe has base, experts and method")
    return content


def _values(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """How many values a node has once aliases are written out; checks keys on the way."""
    if node not in known:
        known[node] = _MOST_VALUES + 1  # for one that holds itself
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            below = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        known[node] = 1 + sum(_values(part, known) for part in below)
    return known[node]


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else key
        if name in seen and key.tag != "tag:yaml.org,2002:merge":
            raise ValueError(f"line {key.start_mark.line + 1} gives the key {name} a second time")
        seen.add(name)
