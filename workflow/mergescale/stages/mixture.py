"""Write the instruction mixture, without what models are evaluated on.

T0's tasks are removed by name, and so are rows that have an n-gram overlap with validation or test
rows of --tasks. Beside the mixture, removed.csv lists what was removed, and mixture.json has the
counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from mergescale import timing
from mergescale.argument_types import Positive
from mergescale.tasks.sources import Source, mixture_examples


@dataclass(frozen=True)
class ColumnArguments:
    """Names of the columns of a hub dataset."""

    input_column: Annotated[str, "column of the prompt (source hub)"] = "inputs"
    target_column: Annotated[str, "column of the answer (source hub)"] = "targets"
    task_column: Annotated[str, "column of the task's name (source hub)"] = "task_name"


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    source: Annotated[Source, "where the rows come from"]
    rows: Annotated[Positive, "maximum number of examples"]
    out: Annotated[Path, "the mixture (parquet)"]
    seed: Annotated[int, "seed of what is sampled"] = 0
    folder: Annotated[Path | None, "folder of JSON lines files (source folder)"] = None
    repo: Annotated[str | None, "dataset of the Hugging Face hub (source hub)"] = None
    revision: Annotated[str | None, "commit of the dataset (source hub)"] = None
    files: Annotated[str | None, "pattern of its files; by default all (source hub)"] = None
    columns: ColumnArguments = field(default_factory=ColumnArguments)
    tasks: Annotated[
        list[Path], "folders of task files, or of folders of these, whose rows are kept out"
    ] = field(default_factory=list)
    ngram: Annotated[Positive, "number of words that no row may share with them"] = 13


def run(args: Arguments) -> None:
    """Write the mixture.

    Raises:
        ValueError: the source or a task file is missing or faulty, or nothing is left.
    """
    from mergescale.provenance.atomic import write_json
    from mergescale.tasks.example_files import write_examples
    from mergescale.tasks.mixtures.decontamination import Decontamination, read_evaluation_ngrams

    timing.started()
    ngrams = read_evaluation_ngrams(args.tasks, args.ngram) if args.tasks else None
    decontamination = Decontamination(ngrams)
    location = _location(args) if args.source != "micro" else {}
    examples = mixture_examples(args.source, args.rows, args.seed, decontamination, **location)
    if "folder" in location:
        location["folder"] = str(location["folder"])
    decontamination.write(args.out.with_name("removed.csv"))
    write_json(
        args.out.with_name("mixture.json"),
        {"source": args.source, "seed": args.seed, **location, **decontamination.record()},
    )
    write_examples(args.out, [e for _, e in examples], tasks=[name for name, _ in examples])


def _location(args: Arguments) -> dict[str, Any]:
    """Where the rows are, as `mixture_reader` takes it; what is not given is left out."""
    location: dict[str, str | Path | Mapping[str, str] | None] = {
        "folder": args.folder,
        "repo": args.repo,
        "revision": args.revision,
        "files": args.files,
    }
    if args.source == "hub":
        columns = args.columns
        location["columns"] = {
            "input": columns.input_column,
            "target": columns.target_column,
            "task": columns.task_column,
        }
    return {key: value for key, value in location.items() if value is not None}
