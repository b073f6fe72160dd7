"""Finds texts that share a run of words (an n-gram) with texts of an index.

Thirteen words are the length of GPT-3's contamination check (Brown et al., "Language Models are
Few-Shot Learners", 2020, arXiv 2005.14165, appendix C). Words are runs of letters and digits in
lower case. The n-grams of the indexed texts are hashed to 64 bits and searched with numpy; every
hit is compared word by word, so a collision of hashes finds nothing.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

NGRAM = 13
_WORD = re.compile(r"\w+")
# A word that no indexed text has, or the end of a text: no n-gram includes it.
_BREAK = 0


def words(text: str) -> list[str]:
    """The words of a text; underscores separate them."""
    return _WORD.findall(text.lower().replace("_", " "))


def words_with_underscores(text: str) -> list[str]:
    """The words of a text; underscores belong to them, and a blank (`_`) is a word itself."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Overlap:
    """An n-gram that a searched row shares with an indexed row: its words, and the row's number."""

    row: int
    ngram: str


class NgramIndex:
    """The n-grams of some rows.

    Args:
        rows: the texts of each row; no n-gram extends from one text into the next.
        length: number of words of an n-gram.
        split_words: splits a text into words.

    Attributes:
        hashes: hashes of all n-grams, sorted, each as often as it occurs; uint64.
        rows: number of the row of each entry of `hashes`; int64.
    """

    def __init__(
        self,
        rows: Iterable[Iterable[str]],
        length: int = NGRAM,
        split_words: Callable[[str], list[str]] = words,
    ) -> None:
        self.length = length
        self._split_words = split_words
        self._ids: dict[str, int] = {}
        ids = self._ids
        word_ids, starts = array("i"), array("q")
        for texts in rows:
            starts.append(len(word_ids))
            for text in texts:
                word_ids.extend([ids.setdefault(word, len(ids) + 1) for word in split_words(text)])
                word_ids.append(_BREAK)
        self._words = np.array(word_ids, dtype=np.int32)
        self._starts = np.array(starts, dtype=np.int64)
        positions, hashes = self._hash_ngrams(self._words)
        order = np.argsort(hashes, kind="stable")
        self._positions, self.hashes = positions[order], hashes[order]
        self.rows = np.searchsorted(self._starts, self._positions, side="right") - 1
        self._spelling = ["", *ids]

    def remove(self, hashes: np.ndarray) -> None:
        """Remove the n-grams with some hashes from the index."""
        kept = ~np.isin(self.hashes, hashes)
        self._positions, self.hashes = self._positions[kept], self.hashes[kept]
        self.rows = self.rows[kept]

    def contains(self, texts: Iterable[str]) -> bool:
        """Whether a row shares an n-gram with the index."""
        return bool(self.search([texts]))

    def search(self, rows: Sequence[Iterable[str]]) -> dict[int, Overlap]:
        """Search rows for n-grams of the index.

        Args:
            rows: the texts of each row.

        Returns:
            The first overlap of each row that has one, by the row's position.
        """
        if not len(self.hashes):
            return {}
        get = self._ids.get
        word_ids, ends = array("i"), []
        for texts in rows:
            for text in texts:
                word_ids.extend([get(word, _BREAK) for word in self._split_words(text)])
                word_ids.append(_BREAK)
            ends.append(len(word_ids))
        ids = np.array(word_ids, dtype=np.int32)
        positions, hashes = self._hash_ngrams(ids)
        first = np.searchsorted(self.hashes, hashes)
        hit = self.hashes[np.minimum(first, len(self.hashes) - 1)] == hashes
        overlaps: dict[int, Overlap] = {}
        for position, entry in zip(positions[hit].tolist(), first[hit].tolist(), strict=True):
            row = int(np.searchsorted(ends, position, side="right"))
            ngram = ids[position : position + self.length]
            if row not in overlaps and (equal := self._find_equal(entry, ngram)) is not None:
                text = " ".join(self._spelling[word] for word in ngram.tolist())
                overlaps[row] = Overlap(int(self.rows[equal]), text)
        return overlaps

    def _find_equal(self, entry: int, ngram: np.ndarray) -> int | None:
        """The first entry with the hash of `entry` whose words are those of the n-gram."""
        end = int(np.searchsorted(self.hashes, self.hashes[entry], side="right"))
        for other in range(entry, end):
            start = int(self._positions[other])
            if np.array_equal(self._words[start : start + self.length], ngram):
                return other
        return None

    def _hash_ngrams(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions at which an n-gram begins, and its hash."""
        count = len(ids) - self.length + 1
        if count < 1:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
        breaks = np.concatenate([[0], np.cumsum(ids == _BREAK)])
        positions = np.flatnonzero(breaks[self.length :] == breaks[: -self.length])
        mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
        hashes = np.zeros(len(positions), dtype=np.uint64)
        for offset in range(self.length):
            hashes = hashes * np.uint64(0x100000001B3) + mixed[positions + offset]
        return positions, hashes
