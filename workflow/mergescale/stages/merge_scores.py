"""Merge one draw by every method, and score the merges.

Each method's parameters are swept on validation rows; the best point is scored on test rows. One
process reads the base and the constituents once and keeps one model in memory. Lambda enters last
and linearly in every method, so one merged task vector serves all values of lambda, and no merge is
written to disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mergescale.merging.method import LAMBDA, Method
from mergescale.provenance.digests import method_digest, record_digest
from mergescale.stages.evaluation_arguments import EvaluationArguments

if TYPE_CHECKING:
    from transformers.modeling_utils import PreTrainedModel

    from mergescale.evaluation.evaluator import Evaluator
    from mergescale.evaluation.model_variant import ModelVariant
    from mergescale.merging.in_memory import MergedTaskVector
    from mergescale.merging.merge_identity import MergeIdentity

RESUMABLE = True


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    base: Annotated[Path, "folder of the base model"]
    experts: Annotated[dict[str, Path], "folders of the draw's experts, by category"]
    seed: Annotated[int, "seed of the draw and of stochastic methods"]
    methods: Annotated[dict, "{method: its settings, such as the values of lambda to sweep}"]
    evaluation: EvaluationArguments
    statistics: Annotated[
        dict[str, Path], "statistics files that methods need, as KIND/EXPERT=FILE"
    ] = field(default_factory=dict)


def run(args: Arguments) -> None:
    """Merge and score."""
    evaluation = args.evaluation
    score_merges(
        evaluation.load_evaluator(args.base, with_validation=True),
        Draw(args.base, args.experts, args.seed, args.statistics),
        args.methods,
        scores=evaluation.scores,
        predictions=evaluation.predictions,
        metadata=evaluation.metadata,
        label=evaluation.label,
    )


@dataclass(frozen=True)
class Draw:
    """What is merged.

    Attributes:
        base: folder of the base.
        experts: {category: folder} of the drawn experts.
        seed: of stochastic methods.
        statistics: {kind/expert: file} for methods that need statistics files.
    """

    base: Path
    experts: Mapping[str, Path]
    seed: int
    statistics: Mapping[str, Path] = field(default_factory=dict)


def score_merges(
    evaluator: Evaluator,
    draw: Draw,
    methods: Mapping[str, dict[str, Any]],
    *,
    scores: Path,
    predictions: Path,
    metadata: Mapping[str, Any],
    label: str,
) -> None:
    """Merge a draw by every method, select its parameters, and score the selected merge.

    Args:
        evaluator: the base's architecture in memory, with the tasks.
        draw: what is merged.
        methods: {method: the settings of its sweep}.
        scores: gets `<method>.json`.
        predictions: gets `<method>.parquet`.
        metadata: fields to add to each score file.
        label: name of the progress bar.

    Raises:
        ValueError: the experts are not those of the evaluator's held-in categories, on whose
            validation rows parameters are selected; or an expert or a setting does not fit.
    """
    from mergescale.evaluation.score_files import write_predictions, write_score_file
    from mergescale.merging.registry import get_method
    from mergescale.progress import Progress

    held_in = {category.name for category in evaluator.held_in}
    if held_in != set(draw.experts):
        raise ValueError(
            f"the experts ({', '.join(sorted(draw.experts))}) are not those of the held-in "
            f"categories ({', '.join(sorted(held_in)) or 'none'})"
        )
    merger = DrawMerger(draw)
    grids = {name: sweep_grid(get_method(name), settings) for name, settings in methods.items()}
    # One evaluation per point; with a single point there is nothing to select.
    total = sum(len(grid) + 1 if len(grid) > 1 else 1 for grid in grids.values())
    with Progress(total, label) as progress:
        for name, grid in grids.items():
            method = get_method(name)
            sweep = []
            for point in grid if len(grid) > 1 else []:
                validated = evaluator.validate(merger.variant(method, point))
                score = selection_score(evaluator, validated)
                sweep.append({**point, "score": score, "tasks": validated})
                progress.update(progress.done + 1)
            # The first of equals: the smaller lambda, then the order of the configuration.
            best = max(range(len(grid)), key=lambda i: (sweep[i]["score"], -i)) if sweep else 0
            recipe = merger.recipe(method, grid[best])
            predicted = evaluator.predict(merger.variant(method, grid[best]))
            write_predictions(predictions / f"{name}.parquet", predicted)
            record = {
                **metadata,
                "model": "merge",
                "method": name,
                "constituents": sorted(draw.experts),
                "chosen": grid[best],
                "recipe": recipe.as_dict(),
                "weights": recipe.digest(),
                "sweep": sweep,
                "scores": evaluator.score_record(predicted),
            }
            if method.task_delta is not None:
                record["variant"] = {"held_in": "task_delta", "held_out": "tau"}
            write_score_file(
                scores / f"{name}.json", record, code=["evaluation", "sweep"], method=name
            )
            progress.update(progress.done + 1)


def sweep_grid(method: Method, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Every combination of lambda (slowest) and the method's other parameters.

    Raises:
        ValueError: the settings are not a mapping, or do not fit the method.
    """
    if not isinstance(settings, dict):
        raise ValueError(f"the settings of {method.name} must be a JSON object, not {settings!r}")
    return [
        {**rest, LAMBDA: lam} for lam in method.lambdas(settings) for rest in method.sweep(settings)
    ]


def selection_score(evaluator: Evaluator, scores: Mapping[str, float]) -> float:
    """What a sweep maximizes: the macro-average of the raw held-in validation scores."""
    from mergescale.evaluation.task_groups import macro_average

    return macro_average(scores, evaluator.held_in)


def cache_key(recipe: MergeIdentity) -> str:
    """Digest of a merge's recipe and of the code that computes its weights."""
    if recipe.lam == 0:
        return recipe.digest()  # the base's weights, whatever the method
    return record_digest({"recipe": recipe.digest(), "code": method_digest(recipe.method)})


def without_lambda(point: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a point that decide the merged task vector."""
    return {name: value for name, value in point.items() if name != LAMBDA}


class DrawMerger:
    """The merges of a draw, computed in memory when their weights are needed."""

    def __init__(self, draw: Draw) -> None:
        from mergescale.checkpoints.folder import read_weights
        from mergescale.merging.in_memory import read_task_vectors
        from mergescale.merging.merge_identity import weights_digest

        self._seed = draw.seed
        self._base = read_weights(draw.base)
        self._task_vectors = read_task_vectors(self._base, draw.experts)
        self._digests = {name: weights_digest(folder) for name, folder in draw.experts.items()}
        self._base_digest = weights_digest(draw.base)
        self._statistics, self._statistics_digests = _read_statistics(draw.statistics)
        self._merged: dict[tuple, MergedTaskVector] = {}

    def recipe(self, method: Method, point: Mapping[str, Any]) -> MergeIdentity:
        """The recipe of a merge."""
        from mergescale.merging.merge_identity import MergeIdentity

        return MergeIdentity(
            method.name,
            self._base_digest,
            self._digests,
            point[LAMBDA],
            without_lambda(point),
            self._seed,
            self._statistics_digests,
        )

    def variant(self, method: Method, point: Mapping[str, Any]) -> ModelVariant:
        """The merge as what the evaluator scores.

        A method with a `task_delta` (EMR-Merging) has other weights on each held-in category,
        W0 + lambda * task_delta of the category's expert. On held-out categories, which no expert
        belongs to, it has W0 + lambda * tau, as other methods have everywhere.
        """
        from mergescale.evaluation.model_variant import StaticVariant, TaskVariant

        key = cache_key(self.recipe(method, point))
        merged = StaticVariant(key, self._loader(method, point))
        if method.task_delta is None or not point[LAMBDA]:
            return merged
        by_category = {
            expert: StaticVariant(
                record_digest({"merge": key, "expert": expert}),
                self._loader(method, point, expert),
            )
            for expert in self._digests
        }
        return TaskVariant(by_category, default=merged)

    def _loader(
        self, method: Method, point: Mapping[str, Any], expert: str | None = None
    ) -> Callable[[PreTrainedModel], None]:
        """What writes W0 + lambda * tau into a model; with an expert, its task delta for tau."""
        from mergescale.merging.ops.cast import apply_task_vector_

        def load(model: PreTrainedModel) -> None:
            lam, delta = point[LAMBDA], {}
            if lam:
                merged = self._merge(method, without_lambda(point))
                delta = merged.tau if expert is None else method.task_delta(merged, expert)
            apply_task_vector_(dict(model.named_parameters()), self._base, delta, lam)

        return load

    def _merge(self, method: Method, parameters: dict[str, Any]) -> MergedTaskVector:
        """The merged task vector of a method; those of the last method are kept for its sweep."""
        key = (method.name, *sorted(parameters.items()))
        if key not in self._merged:
            if any(other[0] != method.name for other in self._merged):
                self._merged.clear()
            self._merged[key] = method.merge_task_vectors(
                self._task_vectors,
                seed=self._seed,
                base=self._base,
                statistics=self._statistics,
                **parameters,
            )
        return self._merged[key]


def _read_statistics(files: Mapping[str, Path]) -> tuple[dict[str, dict], dict[str, dict]]:
    """{kind: {expert: {tensor: Tensor}}} and {kind: {expert: digest of the file}}."""
    from safetensors.torch import load_file

    from mergescale.provenance.digests import file_digest

    contents: dict[str, dict] = {}
    digests: dict[str, dict] = {}
    for name, file in files.items():
        kind, _, expert = name.partition("/")
        contents.setdefault(kind, {})[expert] = load_file(file)
        digests.setdefault(kind, {})[expert] = file_digest(file)
    return contents, digests
