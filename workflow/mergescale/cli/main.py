"""Parses the command line, runs one command, and reports expected errors in one line."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mergescale import __version__, timing
from mergescale.cli import merging
from mergescale.cli.discovery import commands, load_command
from mergescale.cli.stage_arguments import add_arguments, build_arguments
from mergescale.messages import did_you_mean
from mergescale.training import distributed as processes

PUBLIC_COMMANDS = ("merge", "check", "explain", "evaluate", "datasets", "show")
"""The commands for use by hand, in the order of `mergescale --help`; Snakemake calls the others."""

_DESCRIPTION = """\
Merge language models, score them, and run the stages of a model-merging study."""

_EPILOG = "`mergescale COMMAND --help` describes a command and its arguments."


def build_parser(called: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Args:
        called: The command that is called; only its module is imported, and only it has arguments.
    """
    top = argparse.ArgumentParser(
        prog="mergescale",
        usage="mergescale COMMAND [arguments]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"mergescale {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--timing", type=Path, metavar="JSON", help="write how the wall time was spent to this file"
    )
    subparsers = top.add_subparsers(
        dest="_command", metavar="COMMAND", required=True, help=argparse.SUPPRESS, prog="mergescale"
    )
    for module in (merging,):
        module.add_stages(subparsers, common)
    for name, text in (commands("cli") | commands("stages")).items():
        command = subparsers.add_parser(
            name,
            parents=[common],
            help=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == called:
            module = load_command(name)
            add_arguments(command, module.Arguments)
            command.description = textwrap.fill(f"{text}.", _terminal_width())
            command.epilog = getattr(module, "EPILOG", None)
            command.set_defaults(module=module)
    summaries = {action.dest: action.help for action in subparsers._choices_actions}
    top.description = f"{_DESCRIPTION}\n\n{_list_commands(summaries)}"
    top.epilog = _EPILOG
    return top


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; a wrong one prints its usage and exits with status 2."""
    called = next((word for word in words if not word.startswith("-")), None)
    top = build_parser(called)
    subparsers = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    if called is not None and called not in subparsers.choices:
        hint = did_you_mean(called, subparsers.choices) or "; see `mergescale --help`"
        top.error(f"{called!r} is not a command{hint}")
    parsed, rest = top.parse_known_args(words)
    if rest:
        command = subparsers.choices[parsed._command]
        flag = rest[0].partition("=")[0]
        hint = did_you_mean(flag, command._option_string_actions) if flag.startswith("-") else ""
        command.error(f"unexpected argument {rest[0]!r}{hint}")
    return parsed


def _terminal_width() -> int:
    return min(shutil.get_terminal_size().columns, 100) - 2


def _list_commands(summaries: Mapping[str, str]) -> str:
    """The commands with their one-line summaries, those for use by hand first."""
    width = _terminal_width()
    groups = {
        "commands": [name for name in PUBLIC_COMMANDS if name in summaries],
        "stages of a study, called by Snakemake": sorted({*summaries} - {*PUBLIC_COMMANDS}),
    }
    column = max(map(len, summaries)) + 4
    lines = []
    for title, names in groups.items():
        lines += ["" if lines else None, f"{title}:"]
        for name in names:
            lines += textwrap.wrap(
                summaries[name],
                width,
                initial_indent=f"  {name}".ljust(column),
                subsequent_indent=" " * column,
                break_on_hyphens=False,
            )
    return "\n".join(line for line in lines if line is not None)


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status.

    Args:
        words: The command line after `mergescale`; that of this process if None.

    Returns:
        0; 1 for an error in the input; 2 for a wrong command line; 130 and 143 if SIGINT (Ctrl-C)
        or SIGTERM stopped it; 141 if nobody reads its output any more.
    """
    words = sys.argv[1:] if words is None else list(words)
    args = parse(words)
    module = getattr(args, "module", None)
    resumable = getattr(module, "RESUMABLE", hasattr(args, "goes_on"))
    handles_sigterm = getattr(module, "HANDLES_SIGTERM", hasattr(args, "ends_in_order"))
    processes.die_with_launcher()
    try:
        with _sigterm_as_interrupt(handles_sigterm):
            if module is None:
                args.run(args)
            else:
                module.run(build_arguments(args, module.Arguments))
        if args.timing and processes.is_main():
            timing.write(args.timing)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        hint = "; run the same command again to resume" if resumable else ""
        if not processes.under_torchrun():
            print(f"mergescale: stopped{hint}", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    except BrokenPipeError:
        # What is still to be printed at the end has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (ValueError, OSError, FloatingPointError) as error:
        processes.report_failure(describe_error(error))
        return 1
    except RuntimeError as error:
        if not processes.is_peer_failure(error):
            raise
        return 1
    return 0


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM in a command that handles it (`HANDLES_SIGTERM`)."""


@contextmanager
def _sigterm_as_interrupt(wanted: bool) -> Iterator[None]:
    """Raise Terminated on SIGTERM; only the main thread may install the handler."""
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def describe_error(error: Exception) -> str:
    """The error as one line that is safe to print."""
    text = str(error)
    if isinstance(error, FileNotFoundError) and error.filename:
        text = f"{error.filename} does not exist{_hint_for_missing(error.filename)}"
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(text.split()) or type(error).__name__
    # Names that others chose could hold control characters for the terminal.
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _hint_for_missing(path: str | os.PathLike[str]) -> str:
    """How a missing result of a study is made; empty for other paths."""
    folder, *rest = Path(os.fsdecode(path)).parts
    if folder != "results" or not rest or Path(folder, rest[0]).exists():
        return ""
    return f"; study {rest[0]!r} has no results yet: run `make figures` first"
