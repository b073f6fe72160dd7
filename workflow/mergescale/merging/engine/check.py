"""Whether models can be merged, from headers and small files alone: seconds at any size."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from mergescale.checkpoints.folder import read_config
from mergescale.checkpoints.reader import CheckpointReader, check_alike
from mergescale.merging.engine.memory import format_bytes
from mergescale.merging.recipes.recipe import RecipeFile

# What decides how text becomes tokens, in order of preference.
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_FIX = (
    "if their tokens mean the same all the same, write tokenizers: ignore in the recipe; the "
    "merge then has the base's"
)


def check_recipe(recipe: RecipeFile) -> list[str]:
    """What was found, a line for each model. Raises ValueError in one sentence for a misfit."""
    with ExitStack() as sources:
        base = sources.enter_context(
            CheckpointReader.open(recipe.base, f"the base ({recipe.base})")
        )
        lines = [_line("base", base)]
        check_tokenizers(recipe.base, recipe.experts, recipe.tokenizers)
        for name, folder in recipe.experts.items():
            expert = sources.enter_context(CheckpointReader.open(folder, f"{name} ({folder})"))
            if folder.samefile(recipe.base):
                raise ValueError(f"expert {name} is the base itself: {folder}")
            check_alike(expert, base)
            lines.append(_line(name, expert))
    lines.append(
        "names, shapes, dtypes and tokenizers agree"
        if recipe.tokenizers == "same"
        else "names, shapes and dtypes agree; tokenizers were not compared"
    )
    return lines


def check_tokenizers(base: Path, experts: Mapping[str, Path], tokenizers: str = "same") -> None:
    """Raises ValueError for an expert whose tokenizer or vocabulary is another one.

    Not with `tokenizers` "ignore". Always for a base without a configuration, which the merge
    shares with it.
    """
    read_config(base)
    if tokenizers == "ignore":
        return
    size = _vocabulary(base)
    for name, folder in experts.items():
        if (theirs := _vocabulary(folder)) and size and theirs != size:
            raise ValueError(
                f"{name} ({folder}) has a vocabulary of {theirs} in config.json, "
                f"the base ({base}) one of {size}; {_FIX}"
            )
        # Folders may hold the same tokenizer in several forms; one that both have decides.
        for file in _TOKENIZER_FILES:
            if (base / file).is_file() and (folder / file).is_file():
                if _tokenizer(base / file) != _tokenizer(folder / file):
                    raise ValueError(
                        f"{name} ({folder}) has another tokenizer than the base ({base}): "
                        f"{file} differs; {_FIX}"
                    )
                break


def _tokenizer(file: Path) -> str:
    """The digest of a tokenizer's file."""
    content = file.read_bytes()
    if file.name == "tokenizer.json":
        # Truncation and padding are stored with it and change with use.
        try:
            parsed = json.loads(content)
            kept = {k: v for k, v in parsed.items() if k not in ("truncation", "padding")}
            content = json.dumps(kept, sort_keys=True).encode()
        except (ValueError, AttributeError, RecursionError):
            raise ValueError(f"{file} is not readable JSON") from None
    return hashlib.sha256(content).hexdigest()


def _vocabulary(folder: Path) -> int | None:
    if not (folder / "config.json").is_file():
        return None
    size = read_config(folder).get("vocab_size")
    return size if type(size) is int else None


def _line(name: str, source: CheckpointReader) -> str:
    dtypes = Counter(stored.dtype for stored in source.tensors.values())
    kinds = ", ".join(f"{number} {dtype}" for dtype, number in dtypes.most_common())
    files = len({stored.file for stored in source.tensors.values()})
    return (
        f"{name}: {source.elements / 1e6:,.1f} M parameters, {format_bytes(source.bytes)} in "
        f"{files} file{'s' if files > 1 else ''}, tensors: {kinds}"
    )
