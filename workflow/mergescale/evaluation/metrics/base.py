"""The base class of the metrics: an `evaluate.Metric` that compares texts with references."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import fmean
from typing import ClassVar

import datasets
import evaluate


class TextMetric(evaluate.Metric, ABC):
    """A metric of texts, from 0 to 1: the mean of the examples' scores.

    A subclass implements `score_one` and may add values of all examples together in
    `score_corpus`. Its docstring is the metric's description.

    `compute(predictions=, references=)` takes one reference or a list of references for each
    prediction. It returns the mean under the metric's name, and as `scores` that of each example.
    """

    source: ClassVar[str] = ""
    """The publication that defines the metric."""

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    @abstractmethod
    def score_one(self, prediction: str, references: Sequence[str]) -> float:
        """The score of one prediction, from 0 to 1."""

    def score_corpus(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Further values, which are not means over the examples."""
        return {}

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=type(self).__doc__,
            citation=self.source,
            inputs_description="predictions: texts; references: one text or several for each.",
            features=[
                datasets.Features({"predictions": text, "references": datasets.Sequence(text)}),
                datasets.Features({"predictions": text, "references": text}),
            ],
        )

    def _compute(self, *, predictions: Sequence[str], references: Sequence) -> dict:
        references = [[r] if isinstance(r, str) else list(r) for r in references]
        scores = [self.score_one(p, own) for p, own in zip(predictions, references, strict=True)]
        corpus = self.score_corpus(predictions, references)
        return {self.name: fmean(scores), "scores": scores, **corpus}

    def _build_data_dir(self) -> str:
        # evaluate would create a folder in the user's home; all data stay in memory.
        return ""
