"""Checks whether models can be merged from headers and small files alone: seconds at any size."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from mergescale.checkpoints.folder import read_config
from mergescale.checkpoints.reader import CheckpointReader, check_same_tensors
from mergescale.merging.engine.engine import check_statistics_file
from mergescale.merging.engine.merge_spec import Merge, statistics_files
from mergescale.progress import format_bytes
from mergescale.provenance.digests import file_digest, record_digest

# Files that decide how text becomes tokens, in order of preference.
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_FIX = (
    "if the tokens mean the same in both, write tokenizers: ignore in the recipe; the merged model "
    "then has the base's tokenizer"
)


def check_models(
    base: Path, experts: Mapping[str, Path], merges: Sequence[Merge], tokenizers: str = "same"
) -> list[str]:
    """Check that models can be merged.

    Args:
        base: Folder of the base.
        experts: {name: folder}.
        merges: The merges.
        tokenizers: "same", or "ignore" to skip the comparison of tokenizers.

    Returns:
        A line to print for each model, and one on what agrees.

    Raises:
        ValueError: They cannot be merged.
    """
    with ExitStack() as stack:
        base_reader = stack.enter_context(CheckpointReader.open(base, f"the base ({base})"))
        lines = [_describe("base", base_reader)]
        check_tokenizers(base, experts, tokenizers)
        for name, folder in experts.items():
            expert = stack.enter_context(CheckpointReader.open(folder, f"{name} ({folder})"))
            if folder.samefile(base):
                raise ValueError(f"expert {name} is the base itself: {folder}")
            check_same_tensors(expert, base_reader)
            lines.append(_describe(name, expert))
        for (name, statistic), path in statistics_files(merges).items():
            file = stack.enter_context(CheckpointReader.open_file(path, f"{name}: {path}"))
            check_statistics_file(file, base_reader)
            lines.append(_describe(f"{statistic} of {name}", file))
        for merge in merges:
            merge.check_tensors(base_reader.floating_tensors())
    lines.append(
        "names, shapes, dtypes and tokenizers agree"
        if tokenizers == "same"
        else "names, shapes and dtypes agree; tokenizers were not compared"
    )
    return lines


def check_tokenizers(base: Path, experts: Mapping[str, Path], tokenizers: str = "same") -> None:
    """Check that experts have the base's tokenizer and vocabulary size.

    Args:
        base: Folder of the base; it must have a configuration, which the merged model shares.
        experts: {name: folder}.
        tokenizers: "same", or "ignore" to check the base's configuration only.

    Raises:
        ValueError: They do not.
    """
    read_config(base)
    if tokenizers == "ignore":
        return
    size = _vocabulary_size(base)
    for name, folder in experts.items():
        if (own_size := _vocabulary_size(folder)) and size and own_size != size:
            raise ValueError(
                f"{name} ({folder}) has vocab_size {own_size} in config.json, but the base "
                f"({base}) has {size}; {_FIX}"
            )
        # Folders may have the same tokenizer in several formats; one that both have decides.
        for file in _TOKENIZER_FILES:
            if (base / file).is_file() and (folder / file).is_file():
                if _tokenizer_digest(base / file) != _tokenizer_digest(folder / file):
                    raise ValueError(
                        f"{name} ({folder}) has a different tokenizer than the base ({base}): "
                        f"{file} differs; {_FIX}"
                    )
                break


def _tokenizer_digest(file: Path) -> str:
    """The digest of a tokenizer's file."""
    if file.name != "tokenizer.json":
        return file_digest(file)
    try:
        content = json.loads(file.read_bytes())
        # Truncation and padding are saved with it and change with use.
        return record_digest(
            {key: v for key, v in content.items() if key not in ("truncation", "padding")}
        )
    except (ValueError, AttributeError, RecursionError):
        raise ValueError(f"{file} is not readable JSON") from None


def _vocabulary_size(folder: Path) -> int | None:
    if not (folder / "config.json").is_file():
        return None
    size = read_config(folder).get("vocab_size")
    return size if type(size) is int else None


def _format_parameters(number: int) -> str:
    return f"{number / 1e6:,.1f} M parameters" if number >= 1e6 else f"{number:,} parameters"


def _describe(name: str, reader: CheckpointReader) -> str:
    dtypes = Counter(tensor.dtype for tensor in reader.tensors.values())
    counts = ", ".join(f"{number} {dtype}" for dtype, number in dtypes.most_common())
    files = len({tensor.file for tensor in reader.tensors.values()})
    return (
        f"{name}: {_format_parameters(reader.elements)}, {format_bytes(reader.bytes)} in "
        f"{files} file{'s' if files > 1 else ''}, tensors: {counts}"
    )
