"""An instruction mixture from a dataset repository of the Hugging Face hub, such as FLAN v2.

Its rows are prompts and answers as they are, parquet or JSON lines. Names of columns differ:

    repository                          input    target      task
    conceptofmind/*_submix_original     inputs   targets     task_name   (FLAN v2 in five parts)
    itay1itzhak/flan_2022_350k          prompt   completion  task_name   (a sample of 350,023 rows)
    Muennighoff/flan                    inputs   targets     task        (FLAN 2021)
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mergescale.tasks.mixtures.example_batches import Batch, row_id
from mergescale.tasks.public.json_lines import json_row
from mergescale.tasks.task import Example

# Rows that are in memory at once.
BATCH_ROWS = 20_000
# The first kind that a repository has: others hold the same rows again.
_SUFFIXES = ((".parquet",), (".jsonl", ".jsonl.gz"))


@dataclass(frozen=True)
class Columns:
    """Names of the columns with the prompt, the answer, and the name of a row's task."""

    input: str = "inputs"
    target: str = "targets"
    task: str = "task_name"


def download(repo: str, revision: str, files: str | None) -> Path:
    """The folder with a repository's files at a revision, from the hub or from its local cache.

    Args:
        files: pattern of the paths to download, e.g. `data/train-*`; None for all.

    Raises:
        ValueError: no such repository or revision, or no network; the message names the fix.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    suffixes = [f"*{suffix}" for kind in _SUFFIXES for suffix in kind]
    try:
        folder = snapshot_download(
            repo, repo_type="dataset", revision=revision, allow_patterns=files or suffixes
        )
    except RevisionNotFoundError:
        raise ValueError(
            f"mixture.revision {revision!r} is no revision of the hub's dataset {repo}; give the "
            f"full hash of one of its commits"
        ) from None
    except RepositoryNotFoundError:
        raise ValueError(
            f"mixture.repo {repo!r} is no dataset of the Hugging Face hub that you may read; "
            f"correct its name, or log in with `hf auth login`"
        ) from None
    # Many kinds of error mean that the hub was not reached, and the client's own differ by version.
    except Exception as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(
            f"the hub's dataset {repo} at revision {revision} is not in the local cache and cannot "
            f"be downloaded ({what}); connect to the network, bring the cache from elsewhere "
            f"(HF_HOME), or use mixture.source folder"
        ) from None
    return Path(folder)


def files_of(folder: Path, repo: str, files: str | None = None) -> list[Path]:
    """The files with rows in a downloaded repository: all parquet, or else all JSON lines files.

    Raises:
        ValueError: there is none.
    """
    there = sorted(path for path in folder.rglob(files or "*") if path.is_file())
    for kind in _SUFFIXES:
        if found := [path for path in there if path.name.endswith(kind)]:
            return found
    raise ValueError(
        f"the hub's dataset {repo} has no .parquet, .jsonl or .jsonl.gz file"
        + (f" of the pattern {files!r}; correct mixture.files" if files else "; use another one")
    )


def read_files(paths: list[Path], columns: Columns) -> Iterator[Batch]:
    """All rows of some files, a few at a time. Rows without a prompt or an answer are left out.

    Raises:
        ValueError: a column is missing or holds no text, or a line is no JSON object.
    """
    names = [columns.input, columns.target, columns.task]
    for path in paths:
        read = _parquet if path.suffix == ".parquet" else _json_lines
        for rows in read(path, names):
            texts = [[(text or "").strip() for text in row] for row in rows]
            kept = [_example(*row) for row in texts if all(row)]
            yield Batch(kept, empty=len(rows) - len(kept))


def _example(prompt: str, answer: str, task: str) -> tuple[str, Example]:
    return task, Example(
        id=row_id(task, prompt, answer),
        template="as_is",
        input=prompt,
        target=answer,
        references=(answer,),
    )


def _parquet(path: Path, names: list[str]) -> Iterator[list[tuple[Any, ...]]]:
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid:
        raise ValueError(
            f"{path}: not a parquet file; delete it, so that it is downloaded again"
        ) from None
    with file:
        schema = file.schema_arrow
        for name in names:
            if name not in schema.names:
                raise _missing(path, name, schema.names)
            kind = schema.field(name).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise _no_text(path, name, str(kind))
        for batch in file.iter_batches(BATCH_ROWS, columns=names):
            texts = [batch.column(name).to_pylist() for name in names]
            yield list(zip(*texts, strict=True))


def _json_lines(path: Path, names: list[str]) -> Iterator[list[tuple[Any, ...]]]:
    rows: list[tuple[Any, ...]] = []
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            row = json_row(path, number, line)
            for name in names:
                if name not in row.values:
                    raise _missing(f"{path}, row {number}", name, list(row.values))
                if not isinstance(row.values[name], str | None):
                    kind = type(row.values[name]).__name__
                    raise _no_text(f"{path}, row {number}", name, kind)
            rows.append(tuple(row.values[name] for name in names))
            if len(rows) == BATCH_ROWS:
                yield rows
                rows = []
    yield rows


def _missing(place: Path | str, name: str, there: list[str]) -> ValueError:
    return ValueError(
        f"{place}: there is no column {name!r} but {', '.join(there)}; say in mixture.columns "
        f"which of them are input, target and task"
    )


def _no_text(place: Path | str, name: str, kind: str) -> ValueError:
    return ValueError(
        f"{place}: the column {name!r} holds {kind}, not text; name another one in mixture.columns"
    )
