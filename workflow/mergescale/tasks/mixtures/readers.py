"""Reads the rows of an instruction mixture: JSON lines files of a folder, or a dataset of the hub.

A reader yields all rows of its source in batches, from the beginning each time it is called.

Folder: files with the columns task, definition, input and target, as Super-NaturalInstructions-like
collections have them; a file may have several tasks.

Hub: parquet or JSON lines files such as those of FLAN v2, whose rows are prompts and answers. Names
of their columns differ:

    repository                          input    target      task
    conceptofmind/*_submix_original     inputs   targets     task_name   (FLAN v2 in five parts)
    itay1itzhak/flan_2022_350k          prompt   completion  task_name   (a sample of 350,023 rows)
    Muennighoff/flan                    inputs   targets     task        (FLAN 2021)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mergescale.provenance.digests import text_digest
from mergescale.tasks.rows import (
    JSON_LINES,
    Row,
    load_file,
    read_schema,
    stream_json_lines,
    stream_table,
)
from mergescale.tasks.task import Example, stable_fraction

# Rows of a hub dataset that are in memory at a time.
BATCH_ROWS = 20_000
# Kinds of files; the first kind that a repository has is read, as others repeat the same rows.
_SUFFIXES = ((".parquet",), JSON_LINES)
# Templates of a folder's rows. Long prompts lose their beginning, so that half of the prompts have
# the definition last. The names are recorded with predictions.
TEMPLATES = {"told_first": "{definition}\n\n{input}", "told_last": "{input}\n\n{definition}"}


@dataclass(frozen=True)
class Batch:
    """Some rows of a source.

    Attributes:
        rows: (task name, example) pairs.
        empty: number of further rows, which lack a prompt or an answer.
    """

    rows: list[tuple[str, Example]]
    empty: int = 0


Reader = Callable[[], Iterator[Batch]]


@dataclass(frozen=True)
class Columns:
    """Names of the columns with the prompt, the answer, and the name of a row's task."""

    input: str = "inputs"
    target: str = "targets"
    task: str = "task_name"


def row_id(task: str, *texts: str) -> str:
    """The id of a row: its task and a digest of its texts, so that equal rows are one."""
    return f"{task}-{text_digest(json.dumps([task, *texts]))[:16]}"


def read_folder(folder: Path, seed: int) -> Iterator[Batch]:
    """Read the JSON lines files of a folder, one batch per file.

    Args:
        folder: the folder.
        seed: decides, with the row, which template renders it.

    Raises:
        ValueError: a file is missing or faulty; the message names file, row, column and fix.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise ValueError(
            f"{folder} has no .jsonl file; put files there with the columns task, definition, "
            f"input, target"
        )
    for path in files:
        if not path.is_file():  # a named pipe would block for ever
            raise ValueError(f"{path} is not a file; put the rows there as a file, or remove it")
        yield Batch([_render_instruction(row, seed) for row in load_file(path)])


def _render_instruction(row: Row, seed: int) -> tuple[str, Example]:
    texts = {column: row.text(column) for column in ("task", "definition", "input", "target")}
    id = row_id(*texts.values())
    template = list(TEMPLATES)[int(stable_fraction(f"{seed}/{id}/template") * len(TEMPLATES))]
    return row.values["task"], Example(
        id=id,
        template=template,
        input=TEMPLATES[template].format_map(texts),
        target=texts["target"],
        references=(texts["target"],),
    )


def download(repo: str, revision: str, files: str | None) -> Path:
    """The folder with a repository's files, from the hub or from its local cache.

    Args:
        repo: dataset of the hub.
        revision: commit.
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
            f"mixture.revision {revision!r} is not a revision of the hub's dataset {repo}; give "
            f"the full hash of one of its commits"
        ) from None
    except RepositoryNotFoundError:
        raise ValueError(
            f"mixture.repo {repo!r} is not a dataset of the Hugging Face hub that you may read; "
            f"correct its name, or log in with `hf auth login`"
        ) from None
    # Many types of errors mean that the hub was not reached, and they differ by client version.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(
            f"the hub's dataset {repo} at revision {revision} is not in the local cache and cannot "
            f"be downloaded ({reason}); connect to the network, copy a cache that has it "
            f"(HF_HOME), or use mixture.source folder"
        ) from None
    return Path(folder)


def find_files(folder: Path, repo: str, files: str | None = None) -> list[Path]:
    """The files with rows in a downloaded repository: all parquet, or else all JSON lines files.

    Raises:
        ValueError: there is none.
    """
    existing = sorted(path for path in folder.rglob(files or "*") if path.is_file())
    for kind in _SUFFIXES:
        if paths := [path for path in existing if path.name.endswith(kind)]:
            return paths
    raise ValueError(
        f"the hub's dataset {repo} has no .parquet, .jsonl or .jsonl.gz file"
        + (f" of the pattern {files!r}; correct mixture.files" if files else "; use another one")
    )


def read_hub_files(paths: list[Path], columns: Columns) -> Iterator[Batch]:
    """Read files of a hub dataset; rows without a prompt or an answer are dropped and counted.

    Raises:
        ValueError: a file is faulty, or a column is missing or not text.
    """
    names = [columns.input, columns.target, columns.task]
    for path in paths:
        read = _read_json_lines if path.name.endswith(JSON_LINES) else _read_parquet
        for rows in read(path, names):
            stripped = [[(text or "").strip() for text in row] for row in rows]
            complete = [_example(*row) for row in stripped if all(row)]
            yield Batch(complete, empty=len(rows) - len(complete))


def _example(prompt: str, answer: str, task: str) -> tuple[str, Example]:
    return task, Example(
        id=row_id(task, prompt, answer),
        template="as_is",
        input=prompt,
        target=answer,
        references=(answer,),
    )


def _read_parquet(path: Path, names: list[str]) -> Iterator[list[tuple[Any, ...]]]:
    import pyarrow as pa

    schema = read_schema(path)
    for name in names:
        if name not in schema.names:
            raise _missing_column(str(path), name, schema.names)
        kind = schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise _not_text(str(path), name, str(kind))
    return stream_table(path, names, BATCH_ROWS)


def _read_json_lines(path: Path, names: list[str]) -> Iterator[list[tuple[Any, ...]]]:
    for rows in stream_json_lines(path, BATCH_ROWS):
        for row in rows:
            for name in names:
                if name not in row.values:
                    raise _missing_column(row.location, name, list(row.values))
                if not isinstance(row.values[name], str | None):
                    raise _not_text(row.location, name, type(row.values[name]).__name__)
        yield [tuple(row.values[name] for name in names) for row in rows]


def _missing_column(location: str, name: str, existing: list[str]) -> ValueError:
    return ValueError(
        f"{location}: there is no column {name!r} but {', '.join(existing)}; set mixture.columns "
        f"to those that are input, target and task"
    )


def _not_text(location: str, name: str, kind: str) -> ValueError:
    return ValueError(
        f"{location}: the column {name!r} has the type {kind}, not text; name another one in "
        f"mixture.columns"
    )
