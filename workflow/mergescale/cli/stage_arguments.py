"""Turns the typed arguments of a command into command-line flags, and the flags into arguments.

A command declares its arguments once, as a dataclass whose fields carry their help text:

    @dataclass(frozen=True)
    class Arguments:
        base: Annotated[Path, "folder of the base model"]
        threads: Annotated[Positive, "CPU threads"] = 1

becomes `--base PATH --threads N`. Types of fields:

    str, int, float, Path               a value
    Count, Positive, Category           a value (mergescale.argument_types)
    bool                                a switch; `--no-NAME` if its default is True
    Literal["a", "b"]                   one of the values
    dict                                a JSON object
    list[X]                             one or more values; any number if the field has a default
    tuple[X, Y]                         as many values as it names
    dict[str, X]                        `name=value` pairs
    X | None                            as X; None if the flag is not given
    another dataclass                   its fields, as if they stood here

`Annotated[X, "help", POSITIONAL]` takes its value without a flag.
"""

from __future__ import annotations

import argparse
import json
import math
import textwrap
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mergescale.argument_types import POSITIONAL, Category, Count, Positive

__all__ = ["POSITIONAL", "Category", "Count", "Positive", "add_arguments", "build_arguments"]


def add_arguments(parser: argparse.ArgumentParser, arguments_type: type) -> None:
    """Add the flags of a dataclass of arguments to a parser, the required ones first.

    Raises:
        TypeError: a field has a type that has no form on the command line, or no help text.
    """
    required = parser.add_argument_group("required arguments")
    parser._action_groups.insert(1, parser._action_groups.pop())  # before the options
    _add_fields(parser, required, arguments_type)
    parser.usage = _usage(parser)


def build_arguments(parsed: argparse.Namespace, arguments_type: type) -> Any:
    """The dataclass of arguments that a parsed command line stands for.

    Raises:
        ValueError: a name is given twice among `name=value` pairs, or the dataclass refuses a
            value.
    """
    hints = get_type_hints(arguments_type, include_extras=True)
    values = {}
    for field in fields(arguments_type):
        kind, *_ = _unwrap(hints[field.name])
        if is_dataclass(kind):
            values[field.name] = build_arguments(parsed, kind)
            continue
        value = getattr(parsed, field.name)
        if get_origin(kind) is dict and isinstance(value, list):
            pairs = dict(value)
            if len(pairs) < len(value):
                names = ", ".join(name for name, _ in value)
                raise ValueError(f"{_flag(field.name)}: a name is given twice among {names}")
            value = pairs
        elif get_origin(kind) is tuple and isinstance(value, list):
            value = tuple(value)
        values[field.name] = value
    return arguments_type(**values)


def _add_fields(
    parser: argparse.ArgumentParser, required: argparse._ArgumentGroup, arguments_type: type
) -> None:
    hints = get_type_hints(arguments_type, include_extras=True)
    for field in fields(arguments_type):
        kind, text, *marks = _unwrap(hints[field.name])
        if is_dataclass(kind):
            _add_fields(parser, required, kind)
            continue
        if not text:
            raise TypeError(f"{arguments_type.__name__}.{field.name} has no help text")
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        flag = _flag(field.name)
        options = _options(kind)
        if POSITIONAL in marks:
            flag = field.name
            if isinstance(options.get("metavar"), str):
                options["metavar"] = field.name.upper()
            if default is not MISSING:
                options |= {"nargs": options.get("nargs", "?"), "default": default}
        elif default is MISSING and kind is not bool:
            options["required"] = True
        elif kind is bool:
            options["default"] = default is True
            if default is True:
                flag = f"--no-{flag[2:]}"
                options |= {"action": "store_false", "dest": field.name}
        else:
            options["default"] = default
        if default is MISSING and options.get("nargs") == "*":
            options["nargs"] = "+"
        group = required if default is MISSING and kind is not bool else parser
        group.add_argument(flag, help=_help(text, default), **options)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _help(text: str, default: Any) -> str:
    """The help text with the default, where one is worth saying."""
    if (
        default is not MISSING
        and not isinstance(default, bool | dict)
        and default not in (None, [])
    ):
        value = " ".join(map(str, default)) if isinstance(default, list | tuple) else default
        text += f" (default: {value})"
    return text.replace("%", "%%")


def _usage(parser: argparse.ArgumentParser) -> str:
    """Positional and required arguments; the rest are `[options]`, listed below."""
    words = ["[options]"]
    for action in parser._actions:
        if not action.option_strings:
            words.insert(words.index("[options]"), _values(parser, action))
        elif action.required:
            words.append(f"{action.option_strings[-1]} {_values(parser, action)}")
    lines = textwrap.wrap(
        " ".join(word.replace(" ", "\0") for word in words),
        width=78 - len("usage: "),
        initial_indent=f"{parser.prog} ".replace(" ", "\0"),
        subsequent_indent="\0" * 11,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\0", " ").replace("%", "%%")


def _values(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    return formatter._format_args(action, formatter._get_default_metavar_for_optional(action))


def _unwrap(hint: Any) -> tuple[Any, ...]:
    """The type of a field without Annotated and None, its help text, and its marks."""
    text, marks = "", ()
    if get_origin(hint) is Annotated:
        hint, text, *marks = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not types.NoneType]
        if len(kinds) > 1:
            raise TypeError(f"{hint} has no form on the command line: more than one type")
        (hint,) = kinds
    return hint, text, *marks


def _options(kind: Any) -> dict[str, Any]:
    """The settings of an argparse argument of a type."""
    if kind is bool:
        return {"action": "store_true"}
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        if Ellipsis in inner or len(set(inner)) > 1:
            raise TypeError(f"{kind} has no form on the command line; its values must be alike")
        return _value(inner[0]) | {
            "nargs": len(inner),
            "metavar": tuple(_value(part).get("metavar", "TEXT") for part in inner),
        }
    if origin is list:
        return _value(inner[0]) | {"nargs": "*"}
    if origin is dict:
        value = _value(inner[1])
        return {
            "type": _pair_parser(value["type"]),
            "nargs": "*",
            "metavar": f"NAME={value['metavar']}",
        }
    return _value(kind)


def _value(kind: Any) -> dict[str, Any]:
    """The settings of an argparse argument that takes one value of a type."""
    if get_origin(kind) is Literal:
        choices = list(get_args(kind))
        return {"choices": choices, "type": type(choices[0])}
    if kind not in _VALUES:
        raise TypeError(f"{kind} has no form on the command line (mergescale.cli.stage_arguments)")
    parse, metavar = _VALUES[kind]
    return {"type": parse, "metavar": metavar}


def parse_integer(text: str) -> int:
    """Parse a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def parse_count(text: str) -> int:
    """Parse a whole number of at least 0."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def parse_positive(text: str) -> int:
    """Parse a whole number of at least 1."""
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def parse_number(text: str) -> float:
    """Parse a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def parse_json_object(text: str) -> dict:
    """Parse a JSON object."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object")
    return value


def parse_category(text: str) -> tuple[str, tuple[str, ...]]:
    """Parse `category=task,task`."""
    name, _, tasks = text.partition("=")
    if not name or not tasks:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form category=task,task")
    return name, tuple(tasks.split(","))


def _pair_parser(parse: Callable[[str], Any]) -> Callable[[str], tuple[str, Any]]:
    def parse_pair(text: str) -> tuple[str, Any]:
        name, _, value = text.partition("=")
        if not name or not value:
            raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
        return name, parse(value)

    return parse_pair


_VALUES: dict[Any, tuple[Callable[[str], Any], str]] = {
    Count: (parse_count, "N"),
    Positive: (parse_positive, "N"),
    Category: (parse_category, "CATEGORY=TASK,TASK"),
    dict: (parse_json_object, "JSON"),
    Path: (Path, "PATH"),
    str: (str, "TEXT"),
    int: (parse_integer, "N"),
    float: (parse_number, "X"),
}
"""Of each type: what parses its text, and how help calls a value."""
