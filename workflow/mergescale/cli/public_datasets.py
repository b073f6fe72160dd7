"""Arguments of commands that read real datasets: where rows are, and how they are asked."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mergescale.cli.arguments import by_name


def _pinned(text: str) -> tuple[str, str]:
    """Parse `rte=0123abc`."""
    name, _, commit = text.partition("=")
    if not name or not commit:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form dataset=commit")
    return name, commit


def add_real_rows(parser: argparse.ArgumentParser) -> None:
    """Which real rows, and how they are asked."""
    parser.add_argument("--folder", type=Path, help="rows of local tasks")
    parser.add_argument(
        "--revision",
        type=_pinned,
        nargs="*",
        default=[],
        metavar="DATASET=COMMIT",
        help="commits of the hub in place of the declared ones",
    )
    parser.add_argument(
        "--templates",
        default="plain",
        choices=["plain", "promptsource"],
        help="whose wording: the project's own (default) or promptsource's",
    )
    parser.add_argument("--templates-folder", type=Path, help="promptsource's templates")
    parser.add_argument(
        "--template-mode",
        default="sample",
        choices=["sample", "all"],
        help="one template per row, picked by a hash of the row (default), or every template",
    )
    parser.add_argument(
        "--overlap",
        default="drop",
        choices=["drop", "keep"],
        help="training rows that share 13 words in a row with rows of other splits",
    )


def real_settings(chosen: argparse.Namespace) -> dict[str, Any]:
    """The arguments as fields of `tasks.public.Settings`; none for the micro world."""
    if chosen.source == "micro":
        return {}
    return {
        "revisions": by_name(chosen.revision),
        "templates": chosen.templates,
        "templates_folder": chosen.templates_folder,
        "template_mode": chosen.template_mode,
        "overlap": chosen.overlap,
    }
