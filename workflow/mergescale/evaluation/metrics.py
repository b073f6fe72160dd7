"""Metrics of generated answers and of rank classification: one example's score, in 0..1.

Text is compared as the SQuAD script does (lower case, no punctuation, no articles) for exact match
and F1 (Rajpurkar et al., 2016), and as ROUGE does (lower case, letters and digits) for ROUGE-L
(Lin, 2004), its F-measure. With several references the best one counts. BLEU has a module of its
own.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

from mergescale.evaluation.bleu import bleu

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")


def squad_tokens(text: str) -> list[str]:
    """Words of `text` after SQuAD's normalisation."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def rouge_tokens(text: str) -> list[str]:
    """Words of `text` after ROUGE's normalisation (without stemming)."""
    return _NOT_ALPHANUMERIC.sub(" ", text.lower()).split()


def exact_match(prediction: str, reference: str) -> float:
    """1 if both texts have the same words after SQuAD's normalisation, else 0."""
    return float(squad_tokens(prediction) == squad_tokens(reference))


def squad_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of word precision and recall after SQuAD's normalisation."""
    predicted, wanted = squad_tokens(prediction), squad_tokens(reference)
    if not predicted or not wanted:
        return float(predicted == wanted)
    common = sum((Counter(predicted) & Counter(wanted)).values())
    return 2 * common / (len(predicted) + len(wanted))


def rouge_l(prediction: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words (sentence level)."""
    predicted, wanted = rouge_tokens(prediction), rouge_tokens(reference)
    if not predicted or not wanted:
        return 0.0
    return 2 * _longest_common_subsequence(predicted, wanted) / (len(predicted) + len(wanted))


def _longest_common_subsequence(left: list[str], right: list[str]) -> int:
    row = [0] * (len(right) + 1)
    for word in left:
        diagonal = 0
        for column, other in enumerate(right, 1):
            above = row[column]
            row[column] = diagonal + 1 if word == other else max(above, row[column - 1])
            diagonal = above
    return row[-1]


def best_of(metric: Callable[[str, str], float]) -> Callable[[str, Sequence[str]], float]:
    """The metric over several references: the best one counts."""
    return lambda prediction, references: max(metric(prediction, r) for r in references)


# Of a prediction and its references. BLEU counts the words of all references together.
GENERATION_METRICS: dict[str, Callable[[str, Sequence[str]], float]] = {
    "exact_match": best_of(exact_match),
    "squad_f1": best_of(squad_f1),
    "rouge_l": best_of(rouge_l),
    "bleu": bleu,
}
RANK_METRICS = ("accuracy",)
METRICS = (*RANK_METRICS, *GENERATION_METRICS)


def generation_score(metric: str, prediction: str, references: Sequence[str]) -> float:
    """Score of `prediction` by its references, in 0..1.

    Raises:
        ValueError: `metric` is not a generation metric; the message lists those there are.
    """
    if metric not in GENERATION_METRICS:
        known = ", ".join(GENERATION_METRICS)
        raise ValueError(f"{metric!r} is not a metric of generated text; there are: {known}")
    return GENERATION_METRICS[metric](prediction, references)
