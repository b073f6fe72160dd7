"""Near-duplicates: rows that share 13 words in a row, the measure of GPT-3's contamination check.

Brown et al., "Language Models are Few-Shot Learners", appendix C.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

WORDS = 13
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def n_grams(texts: Iterable[str]) -> np.ndarray:
    """64-bit digests of all runs of 13 words of the texts; none runs from one text to the next."""
    found = []
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        if len(words) < WORDS:
            continue
        # Only compared within this process, whose string hashes agree.
        codes = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
        runs = len(words) - WORDS + 1
        digest = np.zeros(runs, np.uint64)
        for place in range(WORDS):
            digest = digest * _FACTOR + codes[place : place + runs]
        found.append(digest)
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


class Index:
    """The n-grams of many rows."""

    def __init__(self, rows: Iterable[Iterable[str]]) -> None:
        """`rows` are the texts of each row."""
        parts = [n_grams(texts) for texts in rows]
        self._known = np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)

    def shares(self, texts: Iterable[str]) -> bool:
        """Whether a row has an n-gram of the index."""
        own = n_grams(texts)
        if not own.size or not self._known.size:
            return False
        places = np.searchsorted(self._known, own)
        places[places == self._known.size] = 0
        return bool((self._known[places] == own).any())
