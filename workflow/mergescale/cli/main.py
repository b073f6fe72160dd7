"""Parses the command line, runs one stage, and turns expected faults into one sentence."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mergescale import __version__, timing
from mergescale.cli import analysis, data, evaluate, merging, scoring, training
from mergescale.cli.discovery import commands, load_command
from mergescale.cli.stage_arguments import add_arguments, build_arguments
from mergescale.training import distributed as processes

# What a module of a command may declare of it, in capitals.
_PROPERTIES = ("goes_on", "ends_in_order")


def parser(called: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; of those that are found, only `called` has its arguments."""
    top = argparse.ArgumentParser(
        prog="mergescale",
        description="The stages of a model-merging study. Snakemake runs them; each also runs "
        "by hand.",
        epilog="`mergescale STAGE --help` tells what a stage reads and writes.",
    )
    top.add_argument("--version", action="version", version=f"mergescale {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--timing", type=Path, metavar="JSON", help="write how the wall time split, here"
    )
    stages = top.add_subparsers(title="stages", metavar="STAGE", required=True)
    for module in (data, training, scoring, evaluate, merging, analysis):
        module.add_stages(stages, common)
    for name, text in (commands("cli") | commands("stages")).items():
        command = stages.add_parser(name, parents=[common], help=text, description=text)
        if name == called:
            module = load_command(name)
            add_arguments(command, module.Arguments)
            command.set_defaults(
                run=lambda parsed, module=module: module.run(
                    build_arguments(parsed, module.Arguments)
                ),
                **{key: True for key in _PROPERTIES if hasattr(module, key.upper())},
            )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a stage; return the exit status.

    0; 1 for a fault in the input; 2 for a bad call; 130 and 143 where it was stopped by SIGINT
    (Ctrl-C) and SIGTERM; 141 where nobody reads what it prints any more.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    chosen = parser(next((word for word in given if not word.startswith("-")), None)).parse_args(
        given
    )
    processes.end_with_launcher()
    try:
        if several := training.processes_of(chosen):
            return training.run_in_processes(
                sys.argv[1:] if arguments is None else arguments, chosen, several
            )
        with _termination_as_interrupt(getattr(chosen, "ends_in_order", False)):
            chosen.run(chosen)
        if chosen.timing and processes.is_main():
            timing.write(chosen.timing)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        go_on = "; run the same command again to go on" if hasattr(chosen, "goes_on") else ""
        if not processes.launched():
            print(f"mergescale: stopped{go_on}", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    except BrokenPipeError:
        # What is still to be printed at the end has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (ValueError, OSError, FloatingPointError) as error:
        processes.tell(_sentence(error))
        return 1
    except RuntimeError as error:
        if not processes.lost_another(error):
            raise
        return 1
    return 0


class Terminated(KeyboardInterrupt):
    """SIGTERM, where a stage ends in order on it."""


@contextmanager
def _termination_as_interrupt(wanted: bool) -> Iterator[None]:
    """SIGTERM raises Terminated in the main thread, which alone may say so."""
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


def _sentence(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename} does not exist"
    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    said = " ".join(said.split()) or type(error).__name__
    # What names of strangers may hold would otherwise steer the terminal.
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in said)
