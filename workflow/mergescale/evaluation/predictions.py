"""Predictions: a model's answers to a task's examples, and the scores made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median


@dataclass(frozen=True)
class Prediction:
    """A model's answer to one example.

    Attributes:
        id: the example's id.
        template: name of the example's prompt template.
        answer: the chosen label string, or the generated text.
        score: the metric's value for this example, from 0 to 1.
        choice_scores: total log-probability (natural log) of each choice; empty for generation.
    """

    id: str
    template: str
    answer: str
    score: float
    choice_scores: tuple[float, ...] = ()


Predictions = dict[str, list[Prediction]]
"""{task: the predictions of its examples, in their order}."""


def mean_score(predictions: Sequence[Prediction]) -> float:
    """The score of a dataset: the mean over its examples, rounded to 6 decimals."""
    return round(sum(p.score for p in predictions) / len(predictions), 6)


def template_scores(predictions: Sequence[Prediction]) -> dict:
    """Scores by prompt template, where every row of a dataset is rendered by every template.

    Returns:
        `templates` ({template: score and rows}) and `median` over the templates. Empty where there
        is one template only, or where templates were sampled, so that each has rows of its own.
        Rows that are rendered by several templates have ids of the form `<row>/<template>`.
    """
    scores: dict[str, dict[str, float]] = {}
    for p in predictions:
        row = p.id.removesuffix(f"/{p.template}")
        if row == p.id:
            return {}
        scores.setdefault(p.template, {})[row] = p.score
    if len(scores) < 2 or len({frozenset(rows) for rows in scores.values()}) > 1:
        return {}
    templates = {
        name: {"score": round(fmean(rows.values()), 6), "rows": len(rows)}
        for name, rows in scores.items()
    }
    middle = median(template["score"] for template in templates.values())
    return {"templates": templates, "median": round(middle, 6)}
