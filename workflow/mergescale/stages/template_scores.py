"""Scores by template, where every template of a task was asked about the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from mergescale.evaluation.scorer import Prediction


def template_scores(predictions: Sequence[Prediction]) -> dict:
    """`templates` (score and rows of each) and `median` over them, for a task's score record.

    Rows asked in every template have ids of the form `<row>/<template>`. Where a row was asked in
    one template only, scores by template are of different rows and are left out: the result is
    empty, as it is for a single template.
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
