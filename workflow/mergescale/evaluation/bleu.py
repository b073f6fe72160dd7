"""BLEU (Papineni et al., 2002): of one answer, and of a corpus, as sacrebleu computes them.

Words are those of sacrebleu's default tokenizer `13a` (Post, 2018), which follows the script of the
NIST evaluations of machine translation. Case is kept.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

ORDER = 4
_ESCAPED = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
# Every ASCII sign stands alone, but for apostrophes, and for full stops, commas and hyphens, which
# may belong to a number or a word. A match uses up the character beside the sign, as in the NIST
# script: of two signs in a row before a digit the second one stays with it.
_RULES = (
    (re.compile(r"([!-&(-+/:-@\[-`{-~])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])-"), r"\1 - "),
)


def bleu_tokens(text: str) -> list[str]:
    """Words and signs of `text`, case kept."""
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for name, sign in _ESCAPED:
        text = text.replace(name, sign)
    text = f" {text} "
    for pattern, spaced in _RULES:
        text = pattern.sub(spaced, text)
    return text.split()


@dataclass
class Counts:
    """What BLEU is computed from: n-grams found and there, by length, and lengths in words."""

    matched: list[int] = field(default_factory=lambda: [0] * ORDER)
    said: list[int] = field(default_factory=lambda: [0] * ORDER)
    length: int = 0
    reference_length: int = 0

    def add(self, prediction: str, references: Sequence[str]) -> None:
        """Count one more prediction with its references; the closest in length gives the length."""
        words = bleu_tokens(prediction)
        wanted = [bleu_tokens(reference) for reference in references]
        self.length += len(words)
        self.reference_length += min(map(len, wanted), key=lambda n: (abs(n - len(words)), n))
        for order in range(1, ORDER + 1):
            ours = _ngrams(words, order)
            most: Counter = Counter()
            for reference in wanted:
                most |= _ngrams(reference, order)
            self.matched[order - 1] += sum((ours & most).values())
            self.said[order - 1] += sum(ours.values())

    def score(self, *, effective_order: bool) -> float:
        """BLEU in 0..1; an n-gram length without a match counts half of the one before it.

        Args:
            effective_order: leave out n-grams that are longer than the prediction, as is done for
                single sentences.
        """
        if not any(self.matched):
            return 0.0
        logarithms, smoothing = [], 1.0
        for matched, said in zip(self.matched, self.said, strict=True):
            if not said:
                if effective_order:
                    break
                return 0.0
            if not matched:
                smoothing *= 2
            logarithms.append(math.log((matched or 1 / smoothing) / said))
        brevity = min(0.0, 1 - self.reference_length / self.length)
        return min(1.0, math.exp(brevity + sum(logarithms) / len(logarithms)))


def bleu(prediction: str, references: Sequence[str]) -> float:
    """BLEU of one answer against all of its references, in 0..1 (sacrebleu's `sentence_bleu`)."""
    counts = Counts()
    counts.add(prediction, references)
    return counts.score(effective_order=True)


def corpus_bleu(predictions: Iterable[str], references: Iterable[Sequence[str]]) -> float:
    """BLEU of many answers together, in 0..1: not the mean of theirs (`corpus_bleu`)."""
    counts = Counts()
    for prediction, own in zip(predictions, references, strict=True):
        counts.add(prediction, own)
    return counts.score(effective_order=False)


def _ngrams(words: Sequence[str], order: int) -> Counter:
    return Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))
