"""The merges of one draw: every method, its sweep on validation rows, its winner on test rows.

One process reads the base and the constituents once and keeps one model resident. lambda enters
last and linearly in every method, so one tau serves its whole sweep and nothing is written to disk
on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mergescale.checkpoints.folder import read_weights
from mergescale.evaluation.task_groups import macro_average
from mergescale.merging.in_memory import read_task_vectors
from mergescale.merging.method import LAMBDA, Method
from mergescale.merging.methods.registry import get_method
from mergescale.merging.ops.apply import apply_
from mergescale.merging.recipe import Recipe, weights_digest
from mergescale.progress import Progress
from mergescale.provenance.digests import method_digest, record_digest
from mergescale.stages.scoring import Evaluator, provenance, write_predictions, write_scores
from mergescale.timing import timed


@dataclass(frozen=True)
class Draw:
    """What is merged: the base, its chosen experts, and the seed of random methods."""

    base: Path
    experts: dict[str, Path]
    seed: int


def score_merges(
    bench: Evaluator,
    draw: Draw,
    methods: dict[str, dict[str, Any]],
    *,
    scores: Path,
    predictions: Path,
    about: dict,
    label: str,
) -> None:
    """Merge the draw by every method, choose its parameters, score the winner.

    Args:
        methods: the settings of each method's sweep, by name of the method.
        scores, predictions: folders that get `<method>.json` and `<method>.parquet`.

    Raises:
        ValueError: the experts are not those of the bench's held-in categories, on whose validation
            rows the parameters are chosen; or an expert or a setting does not fit.
    """
    held_in = {c.name for c in bench.categories if c.role == "held_in"}
    if held_in != set(draw.experts):
        raise ValueError(
            f"the experts ({', '.join(sorted(draw.experts))}) are not those of the held-in "
            f"categories ({', '.join(sorted(held_in)) or 'none'})"
        )
    base = read_weights(draw.base)
    vectors = read_task_vectors(base, draw.experts)
    digests = {name: weights_digest(folder) for name, folder in draw.experts.items()}
    base_digest = weights_digest(draw.base)
    parameters = dict(bench.model.named_parameters())
    points = {name: _points(get_method(name), settings) for name, settings in methods.items()}
    total = sum(len(grid) + 1 if len(grid) > 1 else 1 for grid in points.values())
    with Progress(total, label) as progress:
        for name, grid in points.items():
            taus = _Taus(get_method(name), vectors, base, draw.seed)

            def place(point: dict[str, Any], taus: _Taus = taus) -> None:
                with timed("merging"):
                    lam = point[LAMBDA]
                    apply_(parameters, base, taus[_rest(point)] if lam else {}, lam)

            def recipe(point: dict[str, Any], name: str = name) -> Recipe:
                return Recipe(name, base_digest, digests, point[LAMBDA], _rest(point), draw.seed)

            sweep = []
            # With nothing to choose from, nothing is validated.
            for point in grid if len(grid) > 1 else []:
                found = bench.validate(
                    _address(recipe(point)), lambda point=point, place=place: place(point)
                )
                sweep.append({**point, "score": _selection_score(bench, found), "tasks": found})
                progress.update(progress.done + 1)
            # The first of equals wins: the smaller lambda, then the order of the configuration.
            best = max(range(len(grid)), key=lambda i: (sweep[i]["score"], -i)) if sweep else 0
            chosen = grid[best]
            winner = recipe(chosen)
            found = bench.predict(
                _address(winner), lambda chosen=chosen, place=place: place(chosen)
            )
            write_predictions(predictions / f"{name}.parquet", found)
            write_scores(
                scores / f"{name}.json",
                {
                    **about,
                    "model": "merge",
                    "method": name,
                    "constituents": sorted(draw.experts),
                    "chosen": chosen,
                    "recipe": winner.as_dict(),
                    "weights": winner.digest(),
                    "sweep": sweep,
                    "scores": bench.score_record(found),
                    "provenance": provenance("evaluation", "sweep", method=name),
                },
            )
            progress.update(progress.done + 1)


def _address(recipe: Recipe) -> str:
    """What kept results of a merge go by: its recipe, and the code that turns it into weights."""
    if recipe.lam == 0:
        return recipe.digest()  # the base, whatever the method
    return record_digest({"recipe": recipe.digest(), "code": method_digest(recipe.method)})


def _points(method: Method, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Every combination of lambda (slowest) and the method's other parameters."""
    if not isinstance(settings, dict):
        raise ValueError(f"the settings of {method.name} are {settings!r}, not a JSON object")
    return [
        {**rest, LAMBDA: lam} for lam in method.lambdas(settings) for rest in method.sweep(settings)
    ]


def _rest(point: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in point.items() if name != LAMBDA}


def _selection_score(bench: Evaluator, found: dict[str, float]) -> float:
    """What the sweep maximises: the macro-average of the raw held-in validation scores."""
    return macro_average(found, [c for c in bench.categories if c.role == "held_in"])


class _Taus:
    """The merged task vectors of a method, one for each setting, computed when first needed."""

    def __init__(self, method: Method, vectors: dict[str, dict], base: dict, seed: int) -> None:
        self._method, self._vectors, self._base, self._seed = method, vectors, base, seed
        self._made: dict[tuple, dict] = {}

    def __getitem__(self, settings: dict[str, Any]) -> dict:
        key = tuple(sorted(settings.items()))
        if key not in self._made:
            self._made[key] = self._method.tau(
                self._vectors, seed=self._seed, base=self._base, **settings
            )
        return self._made[key]
