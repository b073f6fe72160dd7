"""Arguments that several stages share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mergescale.models.device import prepare_torch  # noqa: F401


def category(text: str) -> tuple[str, tuple[str, ...]]:
    """Parse `sentiment=app_reviews,imdb`."""
    name, _, tasks = text.partition("=")
    if not name or not tasks:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form category=task,task")
    return name, tuple(tasks.split(","))


def named_folder(text: str) -> tuple[str, Path]:
    """Parse `sentiment=folder/of/the/expert`."""
    name, _, folder = text.partition("=")
    if not name or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=folder")
    return name, Path(folder)


def json_object(text: str) -> dict:
    """Parse a JSON object."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object")
    return value


def count(text: str) -> int:
    """Parse a whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def positive(text: str) -> int:
    """Parse a whole number from 1."""
    if (value := count(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return value


def by_name(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The parsed `name=value` arguments as a mapping.

    Raises:
        ValueError: a name is given twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a name is given twice among {', '.join(name for name, _ in pairs)}")
    return found


def add_categories(parser: argparse.ArgumentParser) -> None:
    """--held-in and --held-out: categories with their tasks."""
    for role in ("held-in", "held-out"):
        parser.add_argument(
            f"--{role}",
            type=category,
            nargs="*",
            default=[],
            metavar="CATEGORY=TASK,TASK",
            help=f"{role} categories and their tasks",
        )


def add_compute(parser: argparse.ArgumentParser) -> None:
    """--threads and --device."""
    parser.add_argument(
        "--threads",
        type=positive,
        default=1,
        help="CPU threads; processes that train together on a node share them (default: 1)",
    )
    parser.add_argument(
        "--device",
        default="auto",
        choices=["auto", "cpu", "cuda"],
        help="where to compute; auto takes a GPU where there is one (default)",
    )
