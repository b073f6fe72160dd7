"""Finished evaluations, kept under a content address.

The address of a result is the digest of what was scored (weights or merge recipe), of the rows,
of the tokenizer and of the evaluator; never a name or a path. A stopped job, or one that Snakemake
runs again because a method was added, finds here what it had done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mergescale.evaluation.requests import EncodedTask
from mergescale.evaluation.scorer import EvalConfig, Prediction
from mergescale.models.tokenizers import Encoder
from mergescale.provenance.atomic import write_json
from mergescale.provenance.digests import code_digest, record_digest

Predictions = dict[str, list[Prediction]]


class ResultCache:
    """A folder of results, one file for each set of weights and group of tasks."""

    def __init__(self, folder: Path, options: EvalConfig, encoder: Encoder) -> None:
        self.folder = folder
        self._evaluator = {
            "code": code_digest("evaluation"),
            "options": options.record(),
            "tokenizer": encoder.digest(),
            "max_length": encoder.max_length,
            "encoder_decoder": encoder.encoder_decoder,
        }

    def predictions(
        self,
        weights: str,
        group: Sequence[EncodedTask],
        compute: Callable[[], Predictions],
    ) -> Predictions:
        """The kept predictions of these weights on this group, or those that `compute` gives."""
        path = self._path(weights, group)
        kept = _predictions(_read(path), group)
        if kept is None:
            found = compute()
            write_json(path, {task: [asdict(p) for p in rows] for task, rows in found.items()})
            return found
        return kept

    def scores(
        self,
        weights: str,
        group: Sequence[EncodedTask],
        compute: Callable[[], dict[str, float]],
    ) -> dict[str, float]:
        """As `predictions`, for the mean scores alone: a sweep needs no more."""
        path = self._path(weights, group, suffix=".scores")
        kept = _scores(_read(path), group)
        if kept is None:
            kept = compute()
            write_json(path, kept)
        return kept

    def _path(self, weights: str, group: Sequence[EncodedTask], suffix: str = "") -> Path:
        address = record_digest(
            {
                "weights": weights,
                "tasks": [[t.name, t.kind, t.metric, t.digest] for t in group],
                "evaluator": self._evaluator,
            }
        )
        return self.folder / address[:2] / f"{address[2:40]}{suffix}.json"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None  # an unreadable one is computed again


def _predictions(kept: Any, group: Sequence[EncodedTask]) -> Predictions | None:
    """What was kept, or None if it is not predictions for each task of the group."""
    try:
        # In the group's order, as computed ones come: files made from either have the same bytes.
        found = {
            task.name: [
                Prediction(**{**p, "choice_scores": tuple(p["choice_scores"])})
                for p in kept[task.name]
            ]
            for task in group
        }
    except (KeyError, TypeError):
        return None
    for task in group:
        rows = found[task.name]
        if not rows:
            return None
        if not all(isinstance(score, float) for p in rows for score in (p.score, *p.choice_scores)):
            return None
    return found


def _scores(kept: Any, group: Sequence[EncodedTask]) -> dict[str, float] | None:
    """What was kept, or None if it is not one score for each task of the group."""
    whole = isinstance(kept, dict) and kept.keys() == {task.name for task in group}
    return kept if whole and all(isinstance(score, float) for score in kept.values()) else None
