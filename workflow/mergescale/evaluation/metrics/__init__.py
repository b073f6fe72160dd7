"""Metrics of answers, as local modules of Hugging Face's `evaluate`; nothing is downloaded.

    load_metric("rouge_l").compute(predictions=["a cat"], references=[["the cat", "a cat"]])

A metric is a module of this package with a class `Metric`, a `TextMetric` (`base.py`); the module's
name is the metric's name in task files. `evaluate` takes half a second to import, so it is imported
only when generated answers are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from mergescale.plugins import load_plugin

if TYPE_CHECKING:
    from mergescale.evaluation.metrics.base import TextMetric

METRICS = tuple(module.name for module in iter_modules(__path__) if module.name != "base")
"""Names of all metrics."""
RANK_METRICS = ("accuracy",)
"""Metrics of rank classification, which is right or wrong (`rank_classification`)."""
GENERATION_METRICS = tuple(name for name in METRICS if name not in RANK_METRICS)
"""Metrics of generated answers."""


@cache
def load_metric(name: str) -> TextMetric:
    """Load a metric, an `evaluate.Metric` whose values are from 0 to 1.

    Raises:
        ValueError: there is no such metric; the message lists those there are.
    """
    if name not in METRICS:
        raise ValueError(f"{name!r} is not a metric; allowed: {', '.join(METRICS)}")
    return load_plugin(__name__, name).Metric()


def score_answers(
    metric: str, answers: Sequence[str], references: Sequence[Sequence[str]]
) -> list[float]:
    """Score generated answers one by one.

    Args:
        metric: one of `GENERATION_METRICS`.
        answers: the generated texts.
        references: the accepted answers to each prompt.

    Returns:
        The score of each answer, from 0 to 1.

    Raises:
        ValueError: `metric` is not a metric of generated answers.
    """
    if metric not in GENERATION_METRICS:
        raise ValueError(
            f"{metric!r} is not a metric of generated answers; allowed: "
            f"{', '.join(GENERATION_METRICS)}"
        )
    computed = load_metric(metric).compute(
        predictions=list(answers), references=[list(texts) for texts in references]
    )
    return computed["scores"]
