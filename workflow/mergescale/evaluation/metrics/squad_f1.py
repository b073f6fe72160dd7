"""F1 of the SQuAD evaluation script."""

import re
import string
from collections import Counter
from collections.abc import Sequence

from mergescale.evaluation.metrics.base import TextMetric

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_tokens(text: str) -> list[str]:
    """Words of a text as the SQuAD script normalizes it: lower case, no punctuation or articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def squad_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of the precision and recall of words."""
    predicted, expected = squad_tokens(prediction), squad_tokens(reference)
    if not predicted or not expected:
        return float(predicted == expected)
    common = sum((Counter(predicted) & Counter(expected)).values())
    return 2 * common / (len(predicted) + len(expected))


class SquadF1(TextMetric):
    """Word F1 of answers, after SQuAD's normalization; the best reference counts."""

    source = 'Rajpurkar et al., 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text"'

    def score_one(self, prediction: str, references: Sequence[str]) -> float:
        return max(squad_f1(prediction, reference) for reference in references)


Metric = SquadF1
