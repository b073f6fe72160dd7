"""Parses the command line, runs one stage, and turns expected faults into one sentence."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mergescale import __version__, timing
from mergescale.cli import analysis, data, evaluate, merging, scoring, training


def parser() -> argparse.ArgumentParser:
    """The parser of all stages."""
    top = argparse.ArgumentParser(
        prog="python -m mergescale",
        description="The stages of a model-merging study. Snakemake runs them; each also runs "
        "by hand.",
        epilog="`python -m mergescale STAGE --help` tells what a stage reads and writes.",
    )
    top.add_argument("--version", action="version", version=f"mergescale {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--timing", type=Path, metavar="JSON", help="write how the wall time split, here"
    )
    stages = top.add_subparsers(title="stages", metavar="STAGE", required=True)
    for module in (data, training, scoring, evaluate, merging, analysis):
        module.add_stages(stages, common)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a stage; return the exit status: 0, 1 for a fault in the input, 2 for a bad call."""
    chosen = parser().parse_args(arguments)
    try:
        chosen.run(chosen)
        if chosen.timing:
            timing.write(chosen.timing)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"mergescale: error: {_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename} does not exist"
    return " ".join(str(error).split()) or type(error).__name__
