"""Finds rows that share a run of words with an evaluation example.

Words are runs of letters and digits, lower-cased. Thirteen in a row is the length that GPT-3's
authors settled on (Brown et al., 2020, appendix C). All n-grams of the evaluation examples become
64-bit numbers once; batches of rows are then looked up with numpy, and every hit is compared word
by word, so that a collision removes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mergescale.tasks.example_files import read_examples
from mergescale.tasks.task import Example

SPLITS = ("validation", "test")
# An n-gram in this share of the examples of a template is the template's wording, not content. A
# passage with many questions stays well below. Of fewer examples nothing can be told.
WORDING_SHARE, WORDING_EXAMPLES = 0.5, 8

_WORD = re.compile(r"\w+")
# No word of evaluation, or the end of a text: no n-gram has it.
_NONE = 0


@dataclass(frozen=True)
class Shared:
    """What a row shares with evaluation: an example, its task, and the first words in common."""

    task: str
    example: str
    ngram: str


class Ngrams:
    """The n-grams of evaluation examples.

    Args:
        examples: evaluation examples by task.
        length: words of an n-gram.
    """

    def __init__(self, examples: Mapping[str, Iterable[Example]], length: int) -> None:
        self.length = length
        self._ids: dict[str, int] = {}
        self._owners: list[tuple[str, str]] = []
        groups: list[tuple[str, str]] = []
        words: list[int] = []
        starts: list[int] = []
        for task in sorted(examples):
            for example in examples[task]:
                self._owners.append((task, example.id))
                groups.append((task, example.template))
                starts.append(len(words))
                texts = (example.input, example.target, *example.choices, *example.references)
                for text in dict.fromkeys(texts):
                    ids = self._ids
                    words.extend([ids.setdefault(w, len(ids) + 1) for w in _words(text)])
                    words.append(_NONE)
        self._words = np.array(words, dtype=np.int32)
        self._starts = np.array(starts, dtype=np.int64)
        places, hashes = self._hashed(self._words)
        order = np.argsort(hashes, kind="stable")
        self._places, self._hashes = places[order], hashes[order]
        owners = self._owner(self._places)
        self._too_short = len(self._owners) - len(np.unique(owners))
        wording = _wording(self._hashes, owners, groups)
        self._wording = len(wording)
        content = ~np.isin(self._hashes, wording)
        self._places, self._hashes = self._places[content], self._hashes[content]
        self._spelled = [""] + list(self._ids)

    def shared(self, rows: Sequence[tuple[str, ...]]) -> dict[int, Shared]:
        """Rows, each of several texts, that share an n-gram: by position, with what they share."""
        if not len(self._hashes):
            return {}
        get = self._ids.get
        words: list[int] = []
        ends: list[int] = []
        for texts in rows:
            for text in texts:
                words.extend([get(word, _NONE) for word in _words(text)])
                words.append(_NONE)
            ends.append(len(words))
        ids = np.array(words, dtype=np.int32)
        places, hashes = self._hashed(ids)
        first = np.searchsorted(self._hashes, hashes)
        known = self._hashes[np.minimum(first, len(self._hashes) - 1)] == hashes
        found: dict[int, Shared] = {}
        for place, at in zip(places[known].tolist(), first[known].tolist(), strict=True):
            row = int(np.searchsorted(ends, place, side="right"))
            ngram = ids[place : place + self.length]
            if row not in found and (there := self._equal(at, ngram)) is not None:
                task, example = self._owners[int(self._owner(np.array([there]))[0])]
                said = " ".join(self._spelled[word] for word in ngram.tolist())
                found[row] = Shared(task, example, said)
        return found

    def record(self) -> dict[str, Any]:
        """What rows are compared with: counts, for the record of a mixture."""
        return {
            "ngram": self.length,
            "tasks": len({task for task, _ in self._owners}),
            "examples": len(self._owners),
            # Examples of fewer words than an n-gram cannot be found in this way.
            "examples_too_short": self._too_short,
            "ngrams": len(np.unique(self._hashes)),
            "ngrams_of_wording_left_out": self._wording,
        }

    def _owner(self, places: np.ndarray) -> np.ndarray:
        """Positions of the examples that the words at some places belong to."""
        return np.searchsorted(self._starts, places, side="right") - 1

    def _equal(self, at: int, ngram: np.ndarray) -> int | None:
        """The place of the first n-gram that is this one, of those with the hash at `at`."""
        for other in range(at, int(np.searchsorted(self._hashes, self._hashes[at], side="right"))):
            place = int(self._places[other])
            if np.array_equal(self._words[place : place + self.length], ngram):
                return place
        return None

    def _hashed(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places at which an n-gram begins, and its hash; of n-grams within one text only."""
        count = len(words) - self.length + 1
        if count < 1:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
        breaks = np.concatenate([[0], np.cumsum(words == _NONE)])
        places = np.flatnonzero(breaks[self.length :] == breaks[: -self.length])
        mixed = words.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
        hashes = np.zeros(len(places), dtype=np.uint64)
        for offset in range(self.length):
            hashes = hashes * np.uint64(0x100000001B3) + mixed[places + offset]
        return places, hashes


def ngrams_of_tasks(folders: Sequence[Path], length: int) -> Ngrams:
    """The n-grams of the validation and test rows of tasks.

    Args:
        folders: folders with a task's files, or with the folders of tasks.

    Raises:
        ValueError: a folder has no task files, or one that cannot be read.
    """
    examples: dict[str, list[Example]] = {}
    for folder in folders:
        tasks = sorted({file.parent for file in folder.glob("**/*.parquet") if file.stem in SPLITS})
        if not tasks:
            raise ValueError(
                f"{folder}: no validation.parquet or test.parquet of a task there; write them with "
                f"`mergescale task`, or leave out the check against them"
            )
        for task in tasks:
            files = [file for split in SPLITS if (file := task / f"{split}.parquet").is_file()]
            examples[task.name] = [example for file in files for example in _read(file)]
    return Ngrams(examples, length)


def _read(file: Path) -> list[Example]:
    try:
        examples = read_examples(file)
    except (ValueError, OSError, TypeError) as error:
        said = str(error).removeprefix(f"{file}: ")
        raise ValueError(f"{file}: {said}; write the task again") from None
    for number, example in enumerate(examples, start=1):
        texts = (example.input, example.target, *example.choices, *example.references)
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(
                f"{file}, row {number}: input, target, choices and references must be text; write "
                f"the task again"
            )
    return examples


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("_", " "))


def _wording(
    hashes: np.ndarray, owners: np.ndarray, groups: Sequence[tuple[str, str]]
) -> np.ndarray:
    """Hashes of the n-grams that belong to a template; `hashes` are sorted, then `owners` are."""
    if not len(hashes):
        return hashes
    names = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group_of = np.array([names[group] for group in groups])
    sizes = np.bincount(group_of)
    once = np.ones(len(hashes), dtype=bool)  # an example counts once for an n-gram
    once[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    hashes, group = hashes[once], group_of[owners[once]]
    order = np.lexsort((group, hashes))
    hashes, group = hashes[order], group[order]
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (group[1:] != group[:-1])
    begins = np.flatnonzero(first)
    counts = np.diff(np.append(begins, len(hashes)))
    size = sizes[group[begins]]
    common = (size >= WORDING_EXAMPLES) & (counts >= WORDING_SHARE * size)
    return np.unique(hashes[begins[common]])
