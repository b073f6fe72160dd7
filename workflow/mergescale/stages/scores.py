"""Gather the score files of a study in one table, scores.csv."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mergescale.argument_types import POSITIONAL
from mergescale.provenance.atomic import replacing

COLUMNS = (
    "size", "base", "model", "expert", "method", "count", "seed", "role", "category", "task",
    "metric", "rows", "score", "density", "lambda",
)  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    files: Annotated[list[Path], "score files", POSITIONAL]
    out: Annotated[Path, "scores.csv"]


def run(args: Arguments) -> None:
    """Write the table."""
    gather_scores(args.files, args.out)


def gather_scores(files: Iterable[Path], out: Path) -> None:
    """Write scores.csv: a row per model and task, in the order of the files.

    Args:
        files: score files.
        out: the table; its columns are `COLUMNS`, empty where they do not apply to a model.

    Raises:
        ValueError: a file is not a score file; the message names it.
    """
    with replacing(out) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for path in files:
            writer.writerows(_rows(path))


def _rows(path: Path) -> Iterator[dict]:
    """The rows of a score file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        common_keys = ("size", "base", "model", "expert", "method", "count", "seed")
        common = {key: record.get(key) for key in common_keys}
        selected = record.get("chosen", {})
        common |= {"density": selected.get("density"), "lambda": selected.get("lambda")}
        for task, scored in record["scores"].items():
            own = {key: scored[key] for key in ("role", "category", "metric", "rows")}
            yield {**common, **own, "task": task, "score": f"{scored['score']:.6f}"}
    except FileNotFoundError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not a score file: {error}; remove it and run again") from error
