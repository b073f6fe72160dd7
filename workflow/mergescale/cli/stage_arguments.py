"""Turns the typed arguments of a stage into command-line flags, and the flags back into arguments.

A stage declares its arguments once, as a dataclass whose fields carry their help text:

    @dataclass(frozen=True)
    class Arguments:
        base: Annotated[Path, "folder of the base model"]
        threads: Annotated[Positive, "CPU threads"] = 1

becomes `--base BASE --threads THREADS`. Understood are str, int, float, bool (a switch), Path, the
types below, Literal (one of its values), `X | None`, `list[X]` (one or more values), `tuple[X, Y]`
(as many values as it names), `dict[str, X]` (`name=value` pairs), `dict` (a JSON object), and other
dataclasses, whose fields are added as if they stood here. `Annotated[X, "help", POSITIONAL]` takes
its value without a flag.
"""

from __future__ import annotations

import argparse
import json
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

POSITIONAL = "positional"

Count = NewType("Count", int)
"""A whole number from 0."""
Positive = NewType("Positive", int)
"""A whole number from 1."""
Category = NewType("Category", tuple)
"""A category and its tasks: `nli=rte,cb` becomes ("nli", ("rte", "cb"))."""


def parse_count(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def parse_positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def parse_json_object(text: str) -> dict:
    """A JSON object."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object")
    return value


def parse_category(text: str) -> tuple[str, tuple[str, ...]]:
    """`category=task,task`."""
    name, _, tasks = text.partition("=")
    if not name or not tasks:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form category=task,task")
    return name, tuple(tasks.split(","))


_PARSERS: dict[Any, Callable[[str], Any]] = {
    Count: parse_count,
    Positive: parse_positive,
    Category: parse_category,
    dict: parse_json_object,
    Path: Path,
    str: str,
    int: int,
    float: float,
}
_METAVARS = {
    Count: "N",
    Positive: "N",
    int: "N",
    float: "X",
    dict: "JSON",
    Path: "PATH",
    str: "TEXT",
    Category: "CATEGORY=TASK,TASK",
}


def add_arguments(parser: argparse.ArgumentParser, arguments_type: type) -> None:
    """Add the flags of a dataclass of arguments to a parser.

    Raises:
        TypeError: a field has a type that has no form on the command line.
    """
    hints = get_type_hints(arguments_type, include_extras=True)
    for field in fields(arguments_type):
        kind, text, *marks = _unwrap(hints[field.name])
        if is_dataclass(kind):
            add_arguments(parser, kind)
            continue
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        flag = f"--{field.name.replace('_', '-')}"
        options = _options(kind)
        if default is MISSING and options.get("nargs") == "*":
            options["nargs"] = "+"
        if POSITIONAL in marks:
            flag = field.name
            options["metavar"] = field.name.upper()
            if default is not MISSING:
                options |= {"nargs": "?", "default": default}
        elif default is MISSING:
            options["required"] = True
        elif kind is bool and default is True:
            flag, options["action"] = f"--no-{flag[2:]}", "store_false"
            options["dest"] = field.name
        else:
            options["default"] = default
            if default not in (None, False, [], {}) and not isinstance(default, dict):
                text += f" (default: {default})"
        parser.add_argument(flag, help=text.replace("%", "%%"), **options)


def build_arguments(parsed: argparse.Namespace, arguments_type: type) -> Any:
    """The dataclass of arguments that a parsed command line stands for.

    Raises:
        ValueError: a name is given twice among `name=value` pairs, or a value is refused.
    """
    hints = get_type_hints(arguments_type, include_extras=True)
    values = {}
    for field in fields(arguments_type):
        kind, *_ = _unwrap(hints[field.name])
        if is_dataclass(kind):
            values[field.name] = build_arguments(parsed, kind)
            continue
        value = getattr(parsed, field.name)
        if _is_pairs(kind) and isinstance(value, list):
            pairs = dict(value)
            if len(pairs) < len(value):
                given = ", ".join(name for name, _ in value)
                raise ValueError(f"a name is given twice among {given}")
            value = pairs
        values[field.name] = value
    return arguments_type(**values)


def _unwrap(hint: Any) -> tuple[Any, ...]:
    """The type of a field without Annotated and None, its help text, and its marks."""
    text, marks = "", ()
    if get_origin(hint) is Annotated:
        hint, text, *marks = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    return hint, text, *marks


def _is_pairs(kind: Any) -> bool:
    return get_origin(kind) is dict


def _options(kind: Any) -> dict[str, Any]:
    """What argparse is told of a type."""
    if kind is bool:
        return {"action": "store_true"}
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"choices": list(inner)}
    if origin is tuple:
        return {
            "type": _parser_of(inner[0]),
            "nargs": len(inner),
            "metavar": tuple(_METAVARS[part] for part in inner),
        }
    if origin is list:
        return {
            "type": _parser_of(inner[0]),
            "nargs": "*",
            "metavar": _METAVARS.get(inner[0], "TEXT"),
        }
    if origin is dict:
        return {
            "type": _pair(_parser_of(inner[1])),
            "nargs": "*",
            "metavar": f"NAME={_METAVARS[inner[1]]}",
        }
    return {"type": _parser_of(kind), "metavar": _METAVARS[kind]}


def _parser_of(kind: Any) -> Callable[[str], Any]:
    if kind not in _PARSERS:
        raise TypeError(f"{kind} has no form on the command line (mergescale.cli.stage_arguments)")
    return _PARSERS[kind]


def _pair(parse: Callable[[str], Any]) -> Callable[[str], tuple[str, Any]]:
    def parse_pair(text: str) -> tuple[str, Any]:
        name, _, value = text.partition("=")
        if not name or not value:
            raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
        return name, parse(value)

    return parse_pair
