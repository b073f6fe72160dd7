"""Whether models can be merged, from headers and small files alone: seconds at any size."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from mergescale.merging.recipe_file import RecipeFile
from mergescale.merging.source import Source, check_alike

# What decides how text becomes tokens, in order of preference.
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")


def check_recipe(recipe: RecipeFile) -> list[str]:
    """What was found, a line for each model. Raises ValueError in one sentence for a misfit."""
    with ExitStack() as sources:
        base = sources.enter_context(Source.open(recipe.base, f"the base ({recipe.base})"))
        lines = [_line("base", base)]
        check_tokenizers(recipe.base, recipe.experts)
        for name, folder in recipe.experts.items():
            if folder.resolve() == recipe.base.resolve():
                raise ValueError(f"expert {name} is the base itself: {folder}")
            expert = sources.enter_context(Source.open(folder, f"{name} ({folder})"))
            check_alike(expert, base)
            lines.append(_line(name, expert))
    lines.append("names, shapes, dtypes and tokenizers agree")
    return lines


def check_tokenizers(base: Path, experts: Mapping[str, Path]) -> None:
    """Raises ValueError for an expert whose tokenizer or vocabulary is another one."""
    file, digest = _tokenizer(base)
    size = _vocabulary(base)
    for name, folder in experts.items():
        if (theirs := _vocabulary(folder)) and size and theirs != size:
            raise ValueError(
                f"{name} ({folder}) has a vocabulary of {theirs} in config.json, "
                f"the base ({base}) one of {size}"
            )
        other, other_digest = _tokenizer(folder)
        if digest and other_digest and digest != other_digest:
            raise ValueError(
                f"{name} ({folder}) has another tokenizer than the base ({base}): "
                f"{other} differs from {file}"
            )


def _tokenizer(folder: Path) -> tuple[str, str]:
    """The file that holds a tokenizer and the digest of its vocabulary; empty if there is none."""
    for name in _TOKENIZER_FILES:
        path = folder / name
        if not path.is_file():
            continue
        content = path.read_bytes()
        if name == "tokenizer.json":
            # Truncation and padding are stored with it and change with use.
            try:
                parsed = json.loads(content)
                kept = {k: v for k, v in parsed.items() if k not in ("truncation", "padding")}
                content = json.dumps(kept, sort_keys=True).encode()
            except (ValueError, AttributeError):
                raise ValueError(f"{path} is not readable JSON") from None
        return name, hashlib.sha256(content).hexdigest()
    return "", ""


def _vocabulary(folder: Path) -> int | None:
    try:
        size = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("vocab_size")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError):
        raise ValueError(f"{folder / 'config.json'} is not readable JSON") from None
    return size if isinstance(size, int) else None


def _line(name: str, source: Source) -> str:
    dtypes = Counter(stored.dtype for stored in source.tensors.values())
    kinds = ", ".join(f"{number} {dtype}" for dtype, number in dtypes.most_common())
    files = len({stored.file for stored in source.tensors.values()})
    return (
        f"{name}: {source.elements / 1e6:,.1f} M parameters, {source.bytes / 1e9:,.2f} GB in "
        f"{files} file{'s' if files > 1 else ''}, tensors: {kinds}"
    )
