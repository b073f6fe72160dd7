"""Accuracy of label strings."""

from collections.abc import Sequence

from mergescale.evaluation.metrics.base import TextMetric


class Accuracy(TextMetric):
    """Share of predictions that equal a reference.

    Rank classification computes the same from its choices (`rank_classification.predict_choice`).
    """

    def score_one(self, prediction: str, references: Sequence[str]) -> float:
        return float(prediction in references)


Metric = Accuracy
