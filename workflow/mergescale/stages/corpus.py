"""Write the pre-training corpus, one document per row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mergescale import timing
from mergescale.argument_types import Count
from mergescale.tasks.sources import Source, corpus_documents


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    source: Annotated[Source, "where the documents come from; only micro has a corpus"]
    rows: Annotated[Count, "number of documents"]
    out: Annotated[Path, "the corpus (parquet)"]
    seed: Annotated[int, "seed of the documents"] = 0


def run(args: Arguments) -> None:
    """Write the corpus."""
    from mergescale.tasks.example_files import write_documents

    timing.started()
    write_documents(args.out, corpus_documents(args.source, args.rows, args.seed))
