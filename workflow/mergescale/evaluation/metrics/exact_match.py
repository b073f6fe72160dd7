"""Exact match of the SQuAD evaluation script."""

from collections.abc import Sequence

from mergescale.evaluation.metrics.base import TextMetric
from mergescale.evaluation.metrics.squad_f1 import squad_tokens


class ExactMatch(TextMetric):
    """Share of answers with the words of a reference, after SQuAD's normalization."""

    source = 'Rajpurkar et al., 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text"'

    def score_one(self, prediction: str, references: Sequence[str]) -> float:
        return float(squad_tokens(prediction) in map(squad_tokens, references))


Metric = ExactMatch
