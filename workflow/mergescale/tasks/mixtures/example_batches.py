"""What every source of a mixture yields: batches of examples, each with its task's name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mergescale.provenance.digests import text_digest
from mergescale.tasks.task import Example


@dataclass(frozen=True)
class Batch:
    """Some rows of a source: task names with examples, less `empty` rows that have no text."""

    rows: list[tuple[str, Example]]
    empty: int = 0


# Reads a source from its beginning, each time it is called.
Reader = Callable[[], Iterator[Batch]]


def row_id(task: str, *texts: str) -> str:
    """The id of a row: its task and a digest of what it says, so that equal rows are one."""
    return f"{task}-{text_digest(json.dumps([task, *texts]))[:16]}"
