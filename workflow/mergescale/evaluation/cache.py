"""The cache of finished evaluations, addressed by content.

The key of a result is the digest of what was scored (weights or merge recipe), of the examples, of
the tokenizer and of the evaluator; never a name or a path. A job that was stopped, or that
Snakemake runs again because a method was added, computes only what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mergescale.evaluation.predictions import Prediction, Predictions
from mergescale.evaluation.requests import EvalConfig, EvalTask
from mergescale.models.tokenizers import Encoder
from mergescale.provenance.atomic import write_json
from mergescale.provenance.digests import code_digest, record_digest


class ResultCache:
    """A folder of results, one file for each set of weights and group of tasks."""

    def __init__(self, folder: Path, config: EvalConfig, encoder: Encoder) -> None:
        self.folder = folder
        self._evaluator = {
            "code": code_digest("evaluation"),
            "config": config.record(),
            "tokenizer": encoder.digest(),
            "max_length": encoder.max_length,
            "encoder_decoder": encoder.encoder_decoder,
        }

    def predictions(
        self, weights: str, group: Sequence[EvalTask], compute: Callable[[], Predictions]
    ) -> Predictions:
        """Return the cached predictions, or compute and cache them.

        Args:
            weights: cache key of the weights.
            group: the tasks.
            compute: computes the predictions of these weights on these tasks.
        """
        path = self._path(weights, group)
        cached = _parse_predictions(_read(path), group)
        if cached is not None:
            return cached
        computed = compute()
        write_json(path, {task: [asdict(p) for p in rows] for task, rows in computed.items()})
        return computed

    def scores(
        self, weights: str, group: Sequence[EvalTask], compute: Callable[[], dict[str, float]]
    ) -> dict[str, float]:
        """Return the cached mean scores, or compute and cache them; all that a sweep needs."""
        path = self._path(weights, group, suffix=".scores")
        cached = _parse_scores(_read(path), group)
        if cached is not None:
            return cached
        computed = compute()
        write_json(path, computed)
        return computed

    def _path(self, weights: str, group: Sequence[EvalTask], suffix: str = "") -> Path:
        key = record_digest(
            {
                "weights": weights,
                "tasks": [[t.name, t.kind, t.metric, t.digest] for t in group],
                "evaluator": self._evaluator,
            }
        )
        return self.folder / key[:2] / f"{key[2:40]}{suffix}.json"


def _read(path: Path) -> Any:
    """The content of a JSON file; None where it is missing or damaged, and is computed again."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def _parse_predictions(content: Any, group: Sequence[EvalTask]) -> Predictions | None:
    """The predictions in a file; None if it does not have predictions for each task."""
    try:
        # In the group's order, as computed ones are: files made from either have the same bytes.
        predictions = {
            task.name: [
                Prediction(**{**p, "choice_scores": tuple(p["choice_scores"])})
                for p in content[task.name]
            ]
            for task in group
        }
    except (KeyError, TypeError):
        return None
    for rows in predictions.values():
        scores = [score for p in rows for score in (p.score, *p.choice_scores)]
        if not rows or not all(isinstance(score, float) for score in scores):
            return None
    return predictions


def _parse_scores(content: Any, group: Sequence[EvalTask]) -> dict[str, float] | None:
    """The scores in a file; None if it does not have one score for each task."""
    complete = isinstance(content, dict) and content.keys() == {task.name for task in group}
    if complete and all(isinstance(score, float) for score in content.values()):
        return content
    return None
