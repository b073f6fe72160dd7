"""Arguments of the commands that score models, and the evaluator they describe."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mergescale.argument_types import Positive
from mergescale.stages.shared_arguments import CategoryArguments, ComputeArguments

if TYPE_CHECKING:
    from mergescale.evaluation.evaluator import Evaluator


@dataclass(frozen=True)
class ScoringArguments:
    """How models are scored."""

    test_rows: Annotated[Positive, "maximum number of test rows of each task"] = 64
    batch_tokens: Annotated[
        Positive, "approximate number of tokens in a batch; the default suits a CPU"
    ] = 2048
    max_new_tokens: Annotated[Positive, "maximum number of generated tokens"] = 32
    end_token: Annotated[
        bool, "close choices with the end token, for models that were trained with it"
    ] = False
    max_length: Annotated[
        Positive,
        "maximum number of tokens of a prompt with its answer, and no more than the model has "
        "positions for; longer prompts lose their beginning",
    ] = 512


@dataclass(frozen=True)
class EvaluationArguments:
    """What the stages that score models read and write."""

    tasks: Annotated[Path, "folder with the task files of each task"]
    cache_dir: Annotated[Path, "folder of finished evaluations, which are not computed again"]
    scores: Annotated[Path, "folder for the score files (JSON)"]
    predictions: Annotated[Path, "folder for the predictions of every example (parquet)"]
    categories: CategoryArguments = field(default_factory=CategoryArguments)
    scoring: ScoringArguments = field(default_factory=ScoringArguments)
    validation_rows: Annotated[
        Positive, "maximum number of validation rows of each task, for sweeps"
    ] = 16
    compute: ComputeArguments = field(default_factory=ComputeArguments)
    metadata: Annotated[dict, "fields to add to each score file"] = field(default_factory=dict)
    label: Annotated[str, "name of the progress bar"] = "scoring"

    def load_evaluator(self, base: Path, *, with_validation: bool) -> Evaluator:
        """Load a base with the tasks; see `load_evaluator`."""
        return load_evaluator(
            base,
            tasks=self.tasks,
            categories=self.categories,
            scoring=self.scoring,
            compute=self.compute,
            cache=self.cache_dir,
            validation_rows=self.validation_rows if with_validation else None,
        )


def load_evaluator(
    model: Path,
    *,
    tasks: Path,
    categories: CategoryArguments,
    scoring: ScoringArguments,
    compute: ComputeArguments,
    cache: Path,
    validation_rows: int | None = None,
) -> Evaluator:
    """Load a model with the tasks and settings that the arguments name.

    Args:
        model: the model folder.
        tasks: folder of task files.
        categories: the categories to score.
        scoring: how models are scored.
        compute: threads and device.
        cache: folder of finished evaluations.
        validation_rows: maximum number of validation rows of each task; None loads none.

    Raises:
        ValueError: the model or a task cannot be loaded.
    """
    from mergescale import timing
    from mergescale.evaluation.evaluator import Evaluator
    from mergescale.evaluation.requests import EvalConfig
    from mergescale.evaluation.task_groups import Category
    from mergescale.models.device import prepare_torch

    device = prepare_torch(compute.threads, compute.device)
    timing.started()
    rows = {"test": scoring.test_rows}
    if validation_rows is not None:
        rows["validation"] = validation_rows
    held_in = [Category(name, "held_in", tasks) for name, tasks in categories.held_in]
    held_out = [Category(name, "held_out", tasks) for name, tasks in categories.held_out]
    with timing.timed("reading"):
        return Evaluator.load(
            model,
            tasks=tasks,
            categories=held_in + held_out,
            config=EvalConfig(scoring.end_token, scoring.max_new_tokens, scoring.batch_tokens),
            max_length=scoring.max_length,
            rows=rows,
            cache=cache,
            device=device,
        )
