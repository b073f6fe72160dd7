"""Parses the command line, runs one command, and reports expected errors in one line."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from mergescale import __version__, timing
from mergescale.cli.discovery import commands, load_command
from mergescale.cli.stage_arguments import add_arguments, build_arguments
from mergescale.messages import did_you_mean
from mergescale.plugins import PluginError

PUBLIC_COMMANDS = ("merge", "check", "explain", "evaluate", "datasets", "show")
"""The commands for use by hand, in the order of `mergescale --help`; Snakemake calls the others."""

_DESCRIPTION = """\
Merge language models, score them, and run the stages of a model-merging study."""

_EPILOG = "`mergescale COMMAND --help` describes a command and its arguments."


def parse(words: Sequence[str]) -> tuple[ModuleType, argparse.Namespace]:
    """Parse a command line; a wrong one prints its usage and exits with status 2.

    Returns:
        The module of the command, and its parsed arguments.
    """
    if not words or words[0].startswith("-"):
        top = _top_parser()
        top.parse_args(words)  # --help and --version end here
        top.print_help(sys.stderr)
        top.exit(2, "\nmergescale: error: a command is required\n")
    name = words[0]
    module = load_command(name)
    if module is None:
        hint = did_you_mean(name, [*commands("cli"), *commands("stages")])
        _top_parser().error(f"{name!r} is not a command{hint or '; see `mergescale --help`'}")
    parser = _command_parser(name, module)
    parsed, rest = parser.parse_known_args(words[1:])
    if rest:
        flag = rest[0].partition("=")[0]
        hint = did_you_mean(flag, parser._option_string_actions) if flag.startswith("-") else ""
        parser.error(f"unexpected argument {rest[0]!r}{hint}")
    return module, parsed


class _TopParser(argparse.ArgumentParser):
    """Lists the commands in its help, and only then reads which there are."""

    def format_help(self) -> str:
        self.description = f"{_DESCRIPTION}\n\n{_list_commands()}"
        return super().format_help()


def _top_parser() -> argparse.ArgumentParser:
    parser = _TopParser(
        prog="mergescale",
        usage="mergescale COMMAND [arguments]",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mergescale {__version__}")
    return parser


def _command_parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"mergescale {name}",
        description=textwrap.fill((module.__doc__ or "").partition("\n")[0], _terminal_width()),
        epilog=getattr(module, "EPILOG", None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--timing", type=Path, metavar="JSON", help="write how the wall time was spent to this file"
    )
    add_arguments(parser, module.Arguments)
    return parser


def _terminal_width() -> int:
    return min(shutil.get_terminal_size().columns, 100) - 2


def _list_commands() -> str:
    """The commands with their one-line summaries, those for use by hand first."""
    public, stages = commands("cli"), commands("stages")
    column = max(map(len, public | stages)) + 4
    lines = []
    for title, group in (
        ("commands", {name: public[name] for name in sorted(public, key=_public_order)}),
        ("stages of a study, called by Snakemake", stages),
    ):
        lines.append(f"{title}:")
        for name, summary in group.items():
            lines += textwrap.wrap(
                summary,
                _terminal_width(),
                initial_indent=f"  {name}".ljust(column),
                subsequent_indent=" " * column,
                break_on_hyphens=False,
            )
        lines.append("")
    return "\n".join(lines[:-1])


def _public_order(name: str) -> tuple[int, str]:
    known = name in PUBLIC_COMMANDS
    return (PUBLIC_COMMANDS.index(name) if known else len(PUBLIC_COMMANDS)), name


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status.

    Args:
        words: The command line after `mergescale`; that of this process if None.

    Returns:
        0; 1 for an error in the input; 2 for a wrong command line; 130 and 143 if SIGINT (Ctrl-C)
        or SIGTERM stopped it; 141 if nobody reads its output any more.
    """
    module, parsed = parse(sys.argv[1:] if words is None else list(words))
    # One of several processes that train a model, or None.
    worker = _torchrun_worker()
    try:
        with _sigterm_as_interrupt(getattr(module, "HANDLES_SIGTERM", False)):
            module.run(build_arguments(parsed, module.Arguments))
        if parsed.timing and (worker is None or worker.is_main()):
            timing.write(parsed.timing)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        if worker is None:
            resumable = getattr(module, "RESUMABLE", False)
            hint = "; run the same command again to resume" if resumable else ""
            print(f"mergescale: stopped{hint}", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    except BrokenPipeError:
        # What is still to be printed at the end has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (ValueError, OSError, FloatingPointError, PluginError) as error:
        if worker is None:
            print(f"mergescale: error: {describe_error(error)}", file=sys.stderr)
        else:
            worker.report_failure(describe_error(error))
        return 1
    except RuntimeError as error:
        if worker is None or not worker.is_peer_failure(error):
            raise
        return 1
    return 0


def _torchrun_worker() -> ModuleType | None:
    """`mergescale.training.distributed` in a process that torchrun started, else None."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    from mergescale.training import distributed

    distributed.die_with_launcher()
    return distributed


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
