"""Print a file or folder of a study readably: rows, scores, tables, models, tokenizers."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mergescale.argument_types import POSITIONAL, Count, Positive
from mergescale.messages import did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

EPILOG = """\
What PATH can be:
  *.parquet      rows of a task, documents of the corpus, the instruction mixture by task,
                 predictions with their mean score by task
  *.json         a task, a score file (sweep, selected values, scores), any other record
  *.csv          a table
  *.md, *.yaml   as text
  a folder       a model (architecture, parameters, training), a tokenizer, a study, the output
                 of `evaluate --out`; of any other folder, the names in it"""

_EXAMPLE_ROWS, _TABLE_ROWS = 3, 30
# Wide enough for most tables where the output is a file or a pipe.
_PIPE_WIDTH = 120


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command."""

    path: Annotated[Path, "file or folder to print", POSITIONAL]
    rows: Annotated[Count | None, "rows to print; 0 for all (default: a few)"] = None
    generate: Annotated[str | None, "let a model folder continue this text"] = None
    max_new_tokens: Annotated[Positive, "tokens to generate at most"] = 24


def run(args: Arguments) -> None:
    """Print the file or folder."""
    path = args.path
    if not path.exists():
        raise ValueError(f"{path} does not exist{_similar(path)}")
    is_model = path.is_dir() and (path / "config.json").is_file()
    if args.generate is not None and not is_model:
        raise ValueError(f"--generate needs a model folder; {path} has no config.json")
    console = _console()
    if args.generate is not None:
        console.print(_printable(_generate(path, args.generate, args.max_new_tokens)))
    elif path.is_dir():
        _show_folder(console, path)
    elif path.suffix in _FILES:
        _FILES[path.suffix](console, path, args.rows)
    else:
        raise ValueError(
            f"{path} cannot be shown; allowed: {', '.join(sorted(_FILES))}, and folders. Open "
            "reports (.html) and figures in a browser"
        )


def _console() -> Console:
    import sys

    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


# --- files


def _show_parquet(console: Console, path: Path, rows: int | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names, total = file.schema_arrow.names, file.metadata.num_rows
        table = file.read()
    except pa.ArrowException as error:
        raise ValueError(f"{path} is not a readable parquet file: {error}") from None
    _title(console, path, f"{total:,} rows with {', '.join(names)}")
    if {"task", "input"} <= {*names}:
        _show_mixture(console, table.column("task").to_pylist())
    elif {"task", "answer", "score"} <= {*names}:
        pairs = zip(
            table.column("task").to_pylist(), table.column("score").to_pylist(), strict=True
        )
        _show_mean_scores(console, pairs)
    number = total if rows == 0 else min(total, rows or _EXAMPLE_ROWS)
    for index, row in enumerate(table.slice(0, number).to_pylist(), 1):
        console.print(f"\nrow {index} of {total:,}", style="bold")
        _print_fields(console, row)


def _show_mixture(console: Console, tasks: Sequence[str]) -> None:
    counts = Counter(tasks)
    _print_table(
        console,
        ["task", "examples", "share"],
        [
            [name, f"{count:,}", f"{count / len(tasks):.1%}"]
            for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ],
    )


def _show_mean_scores(console: Console, pairs: Iterable[tuple[str, float]]) -> None:
    scores: dict[str, list[float]] = {}
    for task, score in pairs:
        scores.setdefault(task, []).append(score)
    _print_table(
        console,
        ["task", "examples", "mean score"],
        [[task, str(len(of)), f"{sum(of) / len(of):.3f}"] for task, of in scores.items()],
    )


def _show_json(console: Console, path: Path, rows: int | None) -> None:
    content = _read_json(path)
    if isinstance(content, dict) and _is_score_file(content):
        _show_scores(console, path, content)
        return
    _title(console, path)
    if isinstance(content, dict):
        _print_fields(console, content)
    else:
        console.print(_printable(json.dumps(content, indent=1, ensure_ascii=False)))


def _is_score_file(content: dict[str, Any]) -> bool:
    scores = content.get("scores")
    return (
        isinstance(scores, dict)
        and bool(scores)
        and all(isinstance(of, dict) and "score" in of for of in scores.values())
    )


def _show_scores(console: Console, path: Path, content: dict[str, Any]) -> None:
    """A score file: what was scored, its sweep with the selected values, and its scores."""
    _title(console, path)
    about = ("model", "expert", "method", "size", "base", "count", "seed", "constituents")
    _print_fields(console, {key: content[key] for key in about if content.get(key) is not None})
    recipe = content.get("recipe") or {}
    selected = {**(recipe.get("parameters") or {})}
    if "lambda" in recipe:
        selected["lambda"] = recipe["lambda"]
    if sweep := content.get("sweep"):
        _show_sweep(console, sweep, selected)
    elif selected:
        console.print(f"\nvalues: {_inline(selected)}")
    console.print("\nscores on test rows", style="bold")
    columns = ["task", "category", "role", "metric", "rows", "score"]
    _print_table(
        console,
        columns,
        [
            [task, *(_cell(of.get(column)) for column in columns[1:-1]), f"{of['score']:.3f}"]
            for task, of in content["scores"].items()
        ],
    )


def _show_sweep(
    console: Console, sweep: Sequence[dict[str, Any]], selected: dict[str, Any]
) -> None:
    """The points of a sweep with the mean score on validation rows; the selected one is marked."""
    names = [name for name in sweep[0] if name not in ("score", "tasks")]
    swept = [name for name in names if len({str(point[name]) for point in sweep}) > 1]
    fixed = {name: sweep[0][name] for name in names if name not in swept}
    tasks = list(sweep[0].get("tasks", {}))
    console.print("\nsweep on validation rows", style="bold")
    if fixed:
        console.print(f"fixed: {_inline(fixed)}")
    _print_table(
        console,
        [*swept, "mean", *tasks, ""],
        [
            [
                *(_cell(point[name]) for name in swept),
                f"{point['score']:.3f}",
                *(f"{point['tasks'][task]:.3f}" for task in tasks),
                "selected" if all(point[name] == selected.get(name) for name in names) else "",
            ]
            for point in sweep
        ],
    )


def _show_csv(console: Console, path: Path, rows: int | None) -> None:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *body = csv.reader(stream)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} is not a readable CSV file: {error}") from None
    shown = body if rows == 0 else body[: rows or _TABLE_ROWS]
    _title(console, path, f"{len(body):,} rows")
    _print_table(console, header, shown)
    if len(shown) < len(body):
        console.print(f"... {len(body) - len(shown):,} more rows; --rows 0 prints all")


def _show_text(console: Console, path: Path, rows: int | None) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines if not rows else lines[:rows]:
        print(_printable(line))


_FILES: dict[str, Callable[[Console, Path, int | None], None]] = {
    ".parquet": _show_parquet,
    ".json": _show_json,
    ".csv": _show_csv,
    ".md": _show_text,
    ".yaml": _show_text,
}


# --- folders


def _show_folder(console: Console, path: Path) -> None:
    if (path / "config.json").is_file():
        _show_model(console, path)
    elif (path / "tokenizer.json").is_file():
        _title(console, path, "tokenizer")
        _print_fields(console, _describe_tokenizer(path))
    elif (path / "study.json").is_file():
        _title(console, path, "study")
        _print_fields(console, _read_json(path / "study.json"))
    elif (path / "scores.json").is_file():
        _show_json(console, path / "scores.json", None)
    else:
        _show_names(console, path)


def _show_names(console: Console, path: Path) -> None:
    """What a folder contains: folders with their number of entries, files with their bytes."""
    entries = sorted(
        (entry for entry in path.iterdir() if not entry.name.startswith(".")),
        key=lambda entry: (entry.is_file(), entry.name),
    )
    _title(console, path, f"{len(entries)} entries")
    rows = [
        [f"{entry.name}/", f"{len([*entry.iterdir()])} entries"]
        if entry.is_dir()
        else [entry.name, f"{entry.stat().st_size:,} bytes"]
        for entry in entries
    ]
    _print_table(console, ["name", "size"], rows)


def _similar(path: Path) -> str:
    """A hint at an entry of the parent folder with a similar name; empty if there is none."""
    if not path.parent.is_dir():
        return ""
    names = {str(path.parent / entry.name): None for entry in path.parent.iterdir()}
    return did_you_mean(path, names)


def _show_model(console: Console, path: Path) -> None:
    from mergescale.checkpoints.safetensors_header import read_header

    files = sorted(path.glob("*.safetensors"))
    tensors = [tensor for file in files for tensor in read_header(file)]
    config = _read_json(path / "config.json")
    _title(console, path, "model")
    names = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads")
    names += ("intermediate_size", "vocab_size", "max_position_embeddings", "tie_word_embeddings")
    _print_fields(
        console,
        {
            **{"architecture": ", ".join(config.get("architectures") or [])},
            **{name: config[name] for name in names if config.get(name) is not None},
            "parameters": f"{sum(prod(tensor.shape) for tensor in tensors):,}",
            "tensors": f"{len(tensors):,} in {len(files)} files, "
            f"{', '.join(sorted({tensor.dtype for tensor in tensors}))}",
            "bytes": f"{sum(file.stat().st_size for file in files):,}",
        },
    )
    if (path / "tokenizer.json").is_file():
        console.print("\ntokenizer", style="bold")
        _print_fields(console, _describe_tokenizer(path))
    for name, title in (("training.json", "training"), ("merge.json", "merge")):
        if (path / name).is_file():
            console.print(f"\n{title}", style="bold")
            _print_fields(console, _read_json(path / name))


def _describe_tokenizer(path: Path) -> dict[str, Any]:
    content = _read_json(path / "tokenizer.json")
    vocabulary = content.get("model", {}).get("vocab", {})
    words = list(vocabulary) if isinstance(vocabulary, dict) else [word for word, _ in vocabulary]
    special = [token["content"] for token in content.get("added_tokens", [])]
    return {
        "kind": content.get("model", {}).get("type") or "unknown",
        "words": f"{len(words):,}",
        "special tokens": ", ".join(special[:8]) + (", ..." if len(special) > 8 else ""),
        "first words": " ".join(words[:24]),
    }


def _generate(path: Path, text: str, max_new_tokens: int) -> str:
    """Greedy continuation of a text, the text included."""
    import torch

    from mergescale.models.loading import load

    model, tokenizer = load(path)
    inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
    if not inputs["input_ids"].numel():
        raise ValueError(f"the tokenizer of {path} makes no token of {text!r}")
    with torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    return tokenizer.decode(ids[0], skip_special_tokens=True)


# --- printing


def _title(console: Console, path: Path, about: str = "") -> None:
    console.print(_printable(f"{path}: {about}" if about else str(path)), style="bold")


def _print_table(console: Console, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table with numbers to the right; cells are cut only where the terminal is too narrow."""
    from rich.table import Table
    from rich.text import Text

    rows = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(header):
        cells = [row[index] for row in rows if index < len(row) and row[index]]
        numbers = bool(cells) and all(_is_number(cell) for cell in cells)
        table.add_column(Text(_printable(name)), justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(Text(_printable(cell)) for cell in row[: len(header)]))
    console.print(table)


def _print_fields(console: Console, content: dict[str, Any]) -> None:
    """A mapping, one key a line; mappings in it are indented, lists of mappings are tables."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    nested = []
    for key, value in content.items():
        if isinstance(value, dict) and value:
            nested.append((key, value))
        else:
            table.add_row(Text(_printable(str(key))), Text(_printable(_cell(value))))
    console.print(table)
    for key, value in nested:
        console.print(_printable(f"{key}:"), style="dim")
        inner = Table(box=None, show_header=False, pad_edge=False)
        inner.add_column(style="dim", no_wrap=True)
        inner.add_column(overflow="fold")
        for name, entry in value.items():
            inner.add_row(Text(_printable(str(name))), Text(_printable(_cell(entry))))
        console.print(Padding(inner, (0, 0, 0, 2)))


def _cell(value: Any) -> str:
    """A value on few characters: text as it is, the rest as in YAML's flow style."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return _inline(value)
    if isinstance(value, list | tuple):
        inner = ("; " if any(isinstance(entry, dict) for entry in value) else ", ").join
        return inner(_cell(entry) for entry in value)
    return str(value)


def _inline(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_cell(value)}" for key, value in values.items())


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "").removesuffix("%"))
    except ValueError:
        return False
    return True


def _printable(text: str) -> str:
    """Text without control characters, with which a file could steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not readable JSON: {error}") from None
