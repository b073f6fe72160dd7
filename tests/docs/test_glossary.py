"""The words that docs/glossary.md rules out are not in names, docstrings, messages or docs."""

import io
import re
import subprocess
import tokenize
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"
# History keeps its words, and so does the glossary itself.
EXEMPT = {
    "CHANGELOG.md",
    "docs/glossary.md",
    "tests/docs/test_glossary.py",
    "benchmarks/compare_results.py",
}
# Prompts are data: changing a word of them would change results. In these files, names, comments
# and docstrings are searched, but no other strings; the name of a fact ("colour") is data, too.
PROMPTS = ("workflow/mergescale/tasks/micro_world/", "workflow/mergescale/tasks/public/datasets/")
FACTS = re.compile(r"\bcolour\b")
# Names of other libraries.
FOREIGN = {"WordPiece"}
# Pages that are generated from them.
EXEMPT |= {"docs/micro_world.md", "docs/mixture.md"}
TEXT = {".md", ".yaml", ".yml", ".smk", ".toml", ".ipynb", ".j2", ".html", ".rst", ".txt", ".cff"}
TEXT_NAMES = {"Makefile", "Snakefile"}


@cache
def ruled_out() -> tuple[str, ...]:
    """The words in backticks of the last column of each table, in lower case."""
    words = []
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) > 1:
            words += re.findall(r"`([^`]+)`", cells[-1])
    return tuple(sorted({word.lower() for word in words}))


@cache
def pattern() -> re.Pattern:
    words = (re.escape(word).replace(r"\ ", r"\s+") for word in ruled_out())
    return re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE)


def as_words(name: str) -> str:
    """An identifier as words: `KeptResults` and `kept_results` become "kept results"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", name)


def prose(path: Path) -> str:
    """The text of a file in which words are searched, with names split into their words."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return re.sub(r"[A-Za-z_]+[A-Z_][A-Za-z_]*", lambda name: as_words(name[0]), text)
    parts = []
    is_data = path.relative_to(ROOT).as_posix().startswith(PROMPTS)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.string in FOREIGN:
            continue
        if token.type == tokenize.NAME:
            parts.append(as_words(token.string) + ";")
        elif not (is_data and token.type == tokenize.STRING and not token.string.startswith('"""')):
            parts.append(token.string)
    found = " ".join(parts)
    return FACTS.sub("", found) if is_data else found


def files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [
        name
        for name in listed
        if name not in EXEMPT
        and (ROOT / name).is_file()
        and (Path(name).suffix in {".py"} | TEXT or Path(name).name in TEXT_NAMES)
    ]


def test_the_glossary_rules_words_out():
    assert len(ruled_out()) > 50 and "normalise" in ruled_out()


@pytest.mark.parametrize(
    "text", ["the colour of it", "kept_results = 1", "class KeptResults: pass", "a\nlook"]
)
def test_words_are_found_in_prose_and_in_names(text):
    assert pattern().search(as_words(text))


def test_no_file_has_a_word_that_the_glossary_rules_out():
    found = []
    for name in files():
        for match in pattern().finditer(prose(ROOT / name)):
            found.append(f"{name}: {' '.join(match[0].split())}")
    assert not found, "\n".join(sorted(set(found)))
