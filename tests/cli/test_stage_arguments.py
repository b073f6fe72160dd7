"""Flags from a dataclass of arguments, and the dataclass from a parsed command line."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest

from mergescale.argument_types import POSITIONAL, Category, Count, Positive
from mergescale.cli.stage_arguments import add_arguments, build_arguments


@dataclass(frozen=True)
class Compute:
    """Nested arguments."""

    threads: Annotated[Positive, "CPU threads"] = 1
    device: Annotated[Literal["auto", "cpu"], "where to compute"] = "auto"


@dataclass(frozen=True)
class Everything:
    """One field of each type."""

    model: Annotated[Path, "the model", POSITIONAL]
    more: Annotated[list[Path], "more models", POSITIONAL]
    steps: Annotated[Count, "steps"]
    rows: Annotated[tuple[Positive, Positive, Positive], "rows of each split"]
    experts: Annotated[dict[str, Path], "experts by category"]
    compute: Compute
    rate: Annotated[float, "100% of it"] = 0.5
    held_in: Annotated[list[Category], "categories"] = field(default_factory=list)
    methods: Annotated[dict, "settings by method"] = field(default_factory=dict)
    folder: Annotated[Path | None, "a folder"] = None
    kinds: Annotated[list[Literal["a", "b"]] | None, "kinds"] = None
    verbose: Annotated[bool, "say more"] = False
    sync: Annotated[bool, "do not wait for the disk"] = True


REQUIRED = "base x y --steps 3 --rows 4 2 1 --experts nli=e/nli qa=e=qa".split()


def parser(arguments_type=Everything):
    made = argparse.ArgumentParser(prog="mergescale task", allow_abbrev=False)
    add_arguments(made, arguments_type)
    return made


def parse(*words, arguments_type=Everything):
    return build_arguments(parser(arguments_type).parse_args(words), arguments_type)


def test_required_arguments_are_parsed_and_others_take_their_defaults():
    assert parse(*REQUIRED) == Everything(
        model=Path("base"),
        more=[Path("x"), Path("y")],
        steps=3,
        rows=(4, 2, 1),
        experts={"nli": Path("e/nli"), "qa": Path("e=qa")},
        compute=Compute(threads=1, device="auto"),
    )


def test_every_type_is_parsed():
    words = "--rate 1e-3 --held-in nli=rte,cb sentiment=imdb --folder f --kinds a b --verbose"
    words += " --no-sync --threads 4 --device cpu --methods"
    args = parse(*REQUIRED, *words.split(), '{"ties": {"density": [0.2]}}')
    assert args.rate == 0.001
    assert args.held_in == [("nli", ("rte", "cb")), ("sentiment", ("imdb",))]
    assert args.folder == Path("f") and args.kinds == ["a", "b"]
    assert args.verbose is True and args.sync is False
    assert args.compute == Compute(threads=4, device="cpu")
    assert args.methods == {"ties": {"density": [0.2]}}


@pytest.mark.parametrize(
    "words, message",
    [
        ("--steps -1", "expected one argument|not a whole number of at least 0"),
        ("--steps 1.5", "'1.5' is not a whole number of at least 0"),
        ("--threads 0", "'0' is not a whole number of at least 1"),
        ("--rate nan", "'nan' is not a number"),
        ("--rate half", "'half' is not a number"),
        ("--rows 1 2", "expected 3 arguments"),
        ("--experts nli", "'nli' is not of the form name=value"),
        ("--held-in nli=", "'nli=' is not of the form category=task,task"),
        ("--methods [1]", r"'\[1\]' is not a JSON object"),
        ("--methods {", "'{' is not JSON"),
        ("--device gpu", "invalid choice: 'gpu'"),
        ("--kinds c", "invalid choice: 'c'"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(words, message, capsys):
    with pytest.raises(SystemExit) as end:
        parse(*REQUIRED, *words.split())
    assert end.value.code == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_name_that_is_given_twice_is_refused():
    words = "base x --steps 3 --rows 4 2 1 --experts nli=a nli=b".split()
    with pytest.raises(ValueError, match="--experts: a name is given twice among nli, nli"):
        parse(*words)


def test_usage_has_what_is_required_and_help_the_rest():
    text = parser().format_help()
    usage, _, rest = text.partition("\n\n")
    assert (
        usage.split()
        == (
            "usage: mergescale task MODEL MORE [MORE ...] [options] --steps N --rows N N N "
            "--experts NAME=PATH [NAME=PATH ...]"
        ).split()
    )
    assert all(len(line) < 80 for line in usage.splitlines())
    assert rest.index("required arguments:") < rest.index("options:")
    for line in ("100% of it (default: 0.5)", "CPU threads (default: 1)", "--no-sync"):
        assert line in rest


@pytest.mark.parametrize(
    "kind", [int | str, set, list[set], tuple[int, ...], tuple[int, str]], ids=str
)
def test_a_type_without_a_form_on_the_command_line_is_a_type_error(kind):
    wrong = dataclass(type("Wrong", (), {"__annotations__": {"x": Annotated[kind, "a value"]}}))
    with pytest.raises(TypeError, match="no form on the command line"):
        parser(wrong)


def test_an_argument_without_a_help_text_is_a_type_error():
    wrong = dataclass(type("Wrong", (), {"__annotations__": {"x": int}}))
    with pytest.raises(TypeError, match="Wrong.x has no help text"):
        parser(wrong)
