"""Checks paths that a user requests, such as a merged model, before Snakemake plans the run.

For a path that no rule makes, Snakemake's own error (MissingRuleException) does not say which part
of the path is wrong.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from mergescale.messages import suggest

# The folders of a study whose names come from the configuration; the longest first.
LAYOUTS = (
    "merges/{size}/{base}/{draw}/{method}",
    "scores/{size}/{base}/merges/{draw}/{method}",
    "scores/{size}/{base}/experts/{category}",
    "scores/{size}/{base}",
    "predictions/{size}/{base}/merges/{draw}/{method}",
    "predictions/{size}/{base}/experts/{category}",
    "predictions/{size}/{base}",
    "models/{size}/{base}/experts/{category}",
    "models/{size}/{base}",
    "tasks/{task}",
)
# Long options without a value, which may stand before a path.
FLAGS = ("--", "--dry-run", "--dryrun", "--force", "--forceall", "--keep-going", "--printshellcmds")


def check_targets(workflow: Any, study: str, names: Mapping[str, Iterable[str]]) -> None:
    """Check the paths on the command line.

    Args:
        workflow: Snakemake's workflow, as a Snakefile has it.
        study: the study's name.
        names: the allowed names of size, base, draw, method, category and task.

    Raises:
        SystemExit: a path belongs to another study, or has a name that the study does not have.
    """
    if not workflow.is_main_process:
        return
    for target in requested_paths(sys.argv[1:]):
        if error := target_error(target, study, names):
            raise SystemExit(f"mergescale: error: {error}")


def requested_paths(arguments: list[str]) -> list[str]:
    """The paths under results/ among Snakemake's arguments, without the values of long options.

    The arguments themselves are read, since Snakemake parses a Snakefile before it knows targets.
    """
    before = ["", *arguments]
    return [
        argument
        for previous, argument in zip(before, arguments, strict=False)
        if argument.startswith("results/") and (not previous.startswith("--") or previous in FLAGS)
    ]


def target_error(target: str, study: str, names: Mapping[str, Iterable[str]]) -> str:
    """What is wrong with a requested path; empty if nothing is found.

    Args:
        target: a path such as `results/default/merges/40k/pt/n2-s1/ties`, or a rule.
        study: the study's name.
        names: the allowed names by wildcard.
    """
    folder, *parts = target.rstrip("/").split("/")
    if folder != "results" or not parts:
        return ""
    if parts[0] != study:
        return (
            f"{target} belongs to the study {parts[0]}, and the configuration is that of {study}; "
            f"add the --configfile of {parts[0]} at the end of the command"
        )
    for layout in LAYOUTS:
        pairs = list(zip(layout.split("/"), parts[1:], strict=False))
        if not _same_literals(pairs):
            continue
        for pattern, part in pairs:
            wildcard, name = pattern.strip("{}"), re.sub(r"\.(json|parquet)$", "", part)
            if pattern.startswith("{") and name not in names[wildcard]:
                return (
                    f"{target}: {name} is not a {wildcard} of the study {study}; "
                    f"{suggest(name, names[wildcard])}"
                )
        return ""
    return ""


def _same_literals(pairs: list[tuple[str, str]]) -> bool:
    return all(pattern == part for pattern, part in pairs if not pattern.startswith("{"))
