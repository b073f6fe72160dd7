"""Digests of files, of records and of the library's own source.

Standard library only: Snakemake computes code digests each time it starts.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

_LIBRARY = Path(__file__).resolve().parent.parent
# Code, and the report's templates and style.
_SOURCES = (".py", ".j2", ".css")

# The modules whose source decides a stage's results. A change there makes Snakemake run the stage
# again; imported modules are invisible to its own rerun triggers.
STAGES: dict[str, tuple[str, ...]] = {
    # By source: a change in how rows of public datasets are read leaves the micro world as it is.
    "micro_tasks": ("tasks/micro_world", "tasks/example_files.py", "tasks/task.py"),
    "public_tasks": (
        "tasks/public",
        "tasks/promptsource",
        "tasks/prompt_config.py",
        "tasks/ngram_overlap.py",
        "tasks/rows.py",
        "tasks/example_files.py",
        "tasks/task.py",
    ),
    "public_mixture": (
        "tasks/mixtures",
        "tasks/ngram_overlap.py",
        "tasks/rows.py",
        "tasks/example_files.py",
        "tasks/task.py",
    ),
    "training": (
        "training",
        "models",
        "stages/pretrain.py",
        "stages/finetune.py",
        "stages/adopt.py",
        "tasks/example_files.py",
        "tasks/task.py",
    ),
    "statistics": (
        "training",
        "models",
        "stages/expert_statistics.py",
        "tasks/example_files.py",
        "tasks/task.py",
    ),
    "evaluation": ("evaluation", "models", "tasks/example_files.py", "tasks/task.py"),
    "merging": ("merging", "checkpoints", "stages/merge_scores.py"),
    # Merged folders; a study's sweep happens in memory.
    "streaming": ("merging/engine", "checkpoints"),
    # Without the methods: `method_digest` is that of one of them.
    "sweep": ("stages/merge_scores.py",),
    # How scores become records; cached evaluations do not depend on it.
    "scoring": ("stages/evaluation_arguments.py", "stages/reference_scores.py"),
    "draws": ("stages/draws.py",),
    "scores": ("stages/scores.py",),
    "analysis": ("analysis/performance.py", "analysis/tidy_tables.py", "stages/performance.py"),
    "tables": ("analysis", "stages/tables.py"),
    "figures": (
        "figures",
        "analysis/tidy_tables.py",
        "analysis/labels.py",
        "stages/figures.py",
    ),
    "report": ("report", "analysis", "stages/report.py"),
}


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def text_digest(text: str) -> str:
    """SHA-256 of a text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def text_hash(text: str) -> int:
    """A number in [0, 2**64) that is the same for a text in every process and on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def record_digest(record: Any) -> str:
    """SHA-256 of a record's canonical JSON (sorted keys, no blanks)."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text_digest(text)


@cache
def code_digest(*stages: str) -> str:
    """Digest of the source of one or more stages, 16 hexadecimal digits.

    Raises:
        KeyError: a stage is not one of `STAGES`.
    """
    files: list[Path] = []
    for entry in sorted({entry for stage in stages for entry in STAGES[stage]}):
        root = _LIBRARY / entry
        sources = (path for path in root.rglob("*") if path.suffix in _SOURCES)
        files += [root] if root.suffix else sorted(sources)
    return _source_digest(files)


@cache
def method_digest(method: str) -> str:
    """Digest of the source that computes the merges of one method, 16 hexadecimal digits.

    It covers the method's own file and what all methods share, so that cached results of the other
    methods stay valid when a method is added.
    """
    merging = _LIBRARY / "merging"
    shared = [*sorted(merging.glob("*.py")), *sorted((merging / "ops").glob("*.py"))]
    return _source_digest([*shared, merging / "methods" / f"{method}.py"])


def _source_digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(_LIBRARY)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
