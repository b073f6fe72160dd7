"""Score a base, its experts and its multitask model, with which merges are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mergescale.stages.evaluation_arguments import EvaluationArguments

if TYPE_CHECKING:
    from mergescale.evaluation.evaluator import Evaluator

RESUMABLE = True


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    base: Annotated[Path, "folder of the base model"]
    multitask: Annotated[Path, "folder of the multitask model"]
    experts: Annotated[dict[str, Path], "folders of the experts, by held-in category"]
    evaluation: EvaluationArguments


def run(args: Arguments) -> None:
    """Score the models."""
    evaluation = args.evaluation
    score_references(
        evaluation.load_evaluator(args.base, with_validation=False),
        base=args.base,
        multitask=args.multitask,
        experts=args.experts,
        scores=evaluation.scores,
        predictions=evaluation.predictions,
        metadata=evaluation.metadata,
        label=evaluation.label,
    )


def score_references(
    evaluator: Evaluator,
    *,
    base: Path,
    multitask: Path,
    experts: Mapping[str, Path],
    scores: Path,
    predictions: Path,
    metadata: Mapping[str, Any],
    label: str,
) -> None:
    """Score base and multitask model on all tasks, each expert on its own and the held-out ones.

    Args:
        evaluator: the base's architecture in memory, with the tasks.
        base: model folder of the base.
        multitask: model folder of the multitask model.
        experts: {category: model folder}.
        scores: gets `base.json`, `multitask.json` and `experts/<category>.json`.
        predictions: gets a parquet file for each of these.
        metadata: fields to add to each score file.
        label: name of the progress bar.

    Raises:
        ValueError: a model has another architecture than the base.
    """
    from mergescale.evaluation.model_variant import StaticVariant
    from mergescale.evaluation.score_files import write_predictions, write_score_file
    from mergescale.progress import Progress

    held_out = {category.name for category in evaluator.categories if category.role == "held_out"}
    # {name of the files: (kind of model, expert, folder, categories to score)}
    models = {
        "base": ("base", None, base, None),
        "multitask": ("multitask", None, multitask, None),
    }
    for category, folder in experts.items():
        models[f"experts/{category}"] = ("expert", category, folder, {category} | held_out)
    with Progress(len(models), label) as progress:
        for done, (name, (kind, expert, folder, only)) in enumerate(models.items(), 1):
            variant = StaticVariant.of_folder(folder)
            predicted = evaluator.predict(variant, only)
            write_predictions(predictions / f"{name}.parquet", predicted)
            record = {
                **metadata,
                "model": kind,
                "expert": expert,
                "weights": variant.key,
                "scores": evaluator.score_record(predicted),
            }
            write_score_file(scores / f"{name}.json", record, code=["evaluation"])
            progress.update(done)
