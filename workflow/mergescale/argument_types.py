"""Types of a stage's arguments beyond Python's own; `cli/stage_arguments.py` parses them."""

from __future__ import annotations

from typing import NewType

POSITIONAL = "positional"
"""Mark of a field that takes its value without a flag: `Annotated[Path, "help", POSITIONAL]`."""

Count = NewType("Count", int)
"""A whole number of at least 0."""
Positive = NewType("Positive", int)
"""A whole number of at least 1."""
Category = NewType("Category", tuple)
"""A category and its tasks: `nli=rte,cb` becomes ("nli", ("rte", "cb"))."""
