"""BLEU and ROUGE-L written by hand, independent of the libraries that the metrics use.

BLEU (Papineni et al., 2002) with sacrebleu's default tokenizer `13a` (Post, 2018); ROUGE-L (Lin,
2004) without stemming. Values are from 0 to 1.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

ORDER = 4
_ESCAPED = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
# Every ASCII punctuation mark is a token, except apostrophes, and except full stops, commas and
# hyphens that belong to a number or a word. As in the NIST script, a match consumes the character
# beside the mark: of two marks before a digit, the second one stays with the digit.
_RULES = (
    (re.compile(r"([!-&(-+/:-@\[-`{-~])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])-"), r"\1 - "),
)


def bleu_tokens(text: str) -> list[str]:
    """Words and punctuation marks of a text; case is kept."""
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for name, character in _ESCAPED:
        text = text.replace(name, character)
    text = f" {text} "
    for pattern, spaced in _RULES:
        text = pattern.sub(spaced, text)
    return text.split()


@dataclass
class Counts:
    """What BLEU is computed from: matching and all n-grams by order, and lengths in words."""

    matched: list[int] = field(default_factory=lambda: [0] * ORDER)
    predicted: list[int] = field(default_factory=lambda: [0] * ORDER)
    length: int = 0
    reference_length: int = 0

    def add(self, prediction: str, references: Sequence[str]) -> None:
        """Count one more prediction with its references; the closest in length gives the length."""
        words = bleu_tokens(prediction)
        tokenized = [bleu_tokens(reference) for reference in references]
        self.length += len(words)
        self.reference_length += min(map(len, tokenized), key=lambda n: (abs(n - len(words)), n))
        for order in range(1, ORDER + 1):
            own = _ngrams(words, order)
            maximum: Counter = Counter()
            for reference in tokenized:
                maximum |= _ngrams(reference, order)
            self.matched[order - 1] += sum((own & maximum).values())
            self.predicted[order - 1] += sum(own.values())

    def score(self, *, effective_order: bool) -> float:
        """BLEU in 0..1; an n-gram length without a match counts half of the one before it.

        Args:
            effective_order: leave out n-grams that are longer than the prediction, as is done for
                single sentences.
        """
        if not any(self.matched):
            return 0.0
        logarithms, smoothing = [], 1.0
        for matched, predicted in zip(self.matched, self.predicted, strict=True):
            if not predicted:
                if effective_order:
                    break
                return 0.0
            if not matched:
                smoothing *= 2
            logarithms.append(math.log((matched or 1 / smoothing) / predicted))
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


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """F-measure of the longest common subsequence of words; the best reference counts."""
    return max(_rouge_l(_rouge_tokens(prediction), _rouge_tokens(r)) for r in references)


def _rouge_tokens(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).split()


def _rouge_l(predicted: list[str], reference: list[str]) -> float:
    if not predicted or not reference:
        return 0.0
    row = [0] * (len(reference) + 1)
    for word in predicted:
        diagonal = 0
        for column, other in enumerate(reference, 1):
            above = row[column]
            row[column] = diagonal + 1 if word == other else max(above, row[column - 1])
            diagonal = above
    return 2 * row[-1] / (len(predicted) + len(reference))
