"""scores.csv: every score file of a study as rows of one tidy table."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from mergescale.provenance.atomic import replacing

COLUMNS = (
    "size", "base", "model", "expert", "method", "count", "seed", "role", "category", "task",
    "metric", "rows", "score", "density", "lambda",
)  # fmt: skip


def collect(files: Iterable[Path], out: Path) -> None:
    """Write scores.csv from score files, in the order of the files.

    Raises:
        ValueError: a file is not a score file; the message names it.
    """
    with replacing(out) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for path in files:
            writer.writerows(_rows(path))


def _rows(path: Path) -> Iterator[dict]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        same = {key: record.get(key) for key in ("size", "base", "model", "expert", "method")}
        same |= {"count": record.get("count"), "seed": record.get("seed")}
        chosen = record.get("chosen", {})
        same |= {"density": chosen.get("density"), "lambda": chosen.get("lambda")}
        for task, found in record["scores"].items():
            own = {key: found[key] for key in ("role", "category", "metric", "rows")}
            yield {**same, **own, "task": task, "score": f"{found['score']:.6f}"}
    except FileNotFoundError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not a score file: {error}; remove it and run again") from error
