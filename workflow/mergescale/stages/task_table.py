"""Write tasks.csv: category, metric, chance level, ceiling and test rows of each task."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from mergescale import timing
from mergescale.argument_types import Positive
from mergescale.stages.shared_arguments import CategoryArguments

COLUMNS = ("task", "title", "role", "category", "kind", "metric", "chance", "ceiling", "rows")


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    tasks: Annotated[Path, "folder with the task files of each task"]
    rows: Annotated[Positive, "maximum number of test rows that are scored"]
    out: Annotated[Path, "tasks.csv"]
    categories: CategoryArguments = field(default_factory=CategoryArguments)


def run(args: Arguments) -> None:
    """Write the table."""
    from mergescale.provenance.atomic import replacing
    from mergescale.tasks.example_files import read_examples

    timing.started()
    with replacing(args.out) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for role in ("held_in", "held_out"):
            for category, names in getattr(args.categories, role):
                for name in names:
                    folder = args.tasks / name
                    about = json.loads((folder / "task.json").read_text(encoding="utf-8"))
                    rows = {example.row for example in read_examples(folder / "test.parquet")}
                    writer.writerow(
                        {key: about[key] for key in ("title", "kind", "metric", "chance")}
                        | {"task": name, "role": role, "category": category}
                        # Every gold answer is one that a perfect model can give.
                        | {"ceiling": 1.0, "rows": min(args.rows, len(rows))}
                    )
