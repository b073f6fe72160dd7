"""The evaluator: a model in memory and the tasks that many sets of weights are scored on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from mergescale.evaluation.cache import ResultCache
from mergescale.evaluation.generation import generate_greedy, predict_answers
from mergescale.evaluation.model_variant import ModelVariant
from mergescale.evaluation.predictions import (
    Prediction,
    Predictions,
    mean_score,
    template_scores,
)
from mergescale.evaluation.rank_classification import predict_choice, score_choices
from mergescale.evaluation.requests import EvalConfig, EvalTask, build_batches, build_requests
from mergescale.evaluation.task_groups import Category, load_groups
from mergescale.models.loading import load, position_limit
from mergescale.models.tokenizers import Encoder
from mergescale.timing import timed


class Scorer:
    """Batches of requests of a fixed list of tasks, for models with one tokenizer.

    A batch never mixes groups of tasks, so a task's scores depend on its group alone and not on
    what else is evaluated in the same run.

    Attributes:
        encoder: the tokenizer and maximum length.
        groups: the tasks, by group.
        truncated: {task: number of prompts that were too long and lost their beginning}.
    """

    def __init__(
        self, encoder: Encoder, groups: Iterable[Sequence[EvalTask]], config: EvalConfig
    ) -> None:
        self.encoder = encoder
        self.groups = [tuple(group) for group in groups]
        self.truncated: dict[str, int] = {}
        self._batches = []
        for group in self.groups:
            requests = build_requests(group, encoder, config)
            self._batches.append(build_batches(requests, encoder, config.batch_tokens))
            counts = Counter(request.task for request in requests if request.truncated)
            self.truncated |= {task.name: counts[task.name] for task in group}

    def predict(
        self,
        model: PreTrainedModel,
        group: int,
        on_progress: Callable[[int], None] = lambda rows: None,
    ) -> Predictions:
        """Compute the predictions for every example of the tasks of a group.

        Args:
            model: the model.
            group: index of the group.
            on_progress: called with the number of examples of each finished batch.

        Returns:
            {task: the predictions, in the order of its examples}.

        Raises:
            FloatingPointError: a log-probability is not finite.
        """
        tasks = {task.name: task for task in self.groups[group]}
        choices: dict[str, dict[int, Prediction]] = {name: {} for name in tasks}
        answers: dict[str, dict[int, str]] = {name: {} for name in tasks}
        for batch in self._batches[group]:
            if batch.requests[0].choices:
                scores = score_choices(model, batch, self.encoder.pad)
                for request, own in zip(batch.requests, scores, strict=True):
                    prediction = predict_choice(tasks[request.task], request.row, own)
                    choices[request.task][request.row] = prediction
            else:
                generated = generate_greedy(model, batch, self.encoder.end)
                for request, ids in zip(batch.requests, generated, strict=True):
                    answers[request.task][request.row] = self.encoder.text(ids)
            on_progress(len(batch.requests))
        return {
            name: [choices[name][row] for row in range(len(choices[name]))]
            if task.kind == "rank"
            else predict_answers(task, [answers[name][row] for row in range(len(answers[name]))])
            for name, task in tasks.items()
        }


@dataclass
class Evaluator:
    """A model in memory with the tasks that it is scored on, and the cache of results.

    Attributes:
        model: the model whose weights are replaced by those of each `ModelVariant`.
        categories: the categories of the tasks.
        test: the test examples of all categories.
        validation: the validation examples of the held-in categories.
        cache: finished evaluations.
    """

    model: PreTrainedModel
    categories: tuple[Category, ...]
    test: Scorer
    validation: Scorer
    cache: ResultCache
    _loaded: str | None = field(default=None, init=False)

    @classmethod
    def load(
        cls,
        base: Path,
        *,
        tasks: Path,
        categories: Sequence[Category],
        config: EvalConfig,
        max_length: int,
        rows: Mapping[str, int],
        cache: Path,
        device: str,
    ) -> Evaluator:
        """Load the model and tokenizer of `base`, and read and tokenize the tasks' examples.

        Args:
            base: a model folder.
            tasks: folder of task files.
            categories: the categories and their tasks.
            config: how models are scored.
            max_length: maximum number of tokens of a prompt with its answer.
            rows: maximum number of examples of each task: {"test": 64}, with "validation" for
                sweeps.
            cache: folder of finished evaluations.
            device: `cpu` or `cuda`.

        Raises:
            ValueError: a category or a task is named twice.
        """
        for names in ([c.name for c in categories], [t for c in categories for t in c.tasks]):
            if repeated := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(
                    f"{repeated[0]} is given twice among the categories and their tasks"
                )
        model, tokenizer = load(base)
        model.eval().to(device)
        encoder = build_encoder(model, tokenizer, max_length)
        held_in = [c for c in categories if c.role == "held_in"] if "validation" in rows else []
        validation = load_groups(tasks, held_in, "validation", rows.get("validation", 0))
        return cls(
            model,
            tuple(categories),
            Scorer(encoder, load_groups(tasks, categories, "test", rows["test"]), config),
            Scorer(encoder, validation, config),
            ResultCache(cache, config, encoder),
        )

    @property
    def held_in(self) -> list[Category]:
        """The held-in categories, in the order of `validation.groups`."""
        return [category for category in self.categories if category.role == "held_in"]

    def predict(
        self,
        variant: ModelVariant,
        only: set[str] | None = None,
        on_progress: Callable[[int], None] = lambda rows: None,
    ) -> Predictions:
        """Predict the test examples.

        Args:
            variant: the weights.
            only: names of the categories to score; None for all.
            on_progress: called with the number of examples of each finished batch.
        """
        predictions: Predictions = {}
        for number, category in enumerate(self.categories):
            if only is not None and category.name not in only:
                continue

            def compute(number: int = number, category: Category = category) -> Predictions:
                self._load_weights(variant, category)
                with timed("evaluation"):
                    return self.test.predict(self.model, number, on_progress)

            group = self.test.groups[number]
            predictions |= self.cache.predictions(variant.cache_key(category), group, compute)
        return predictions

    def validate(self, variant: ModelVariant) -> dict[str, float]:
        """Score the validation examples of the held-in tasks: {task: mean score}."""
        scores: dict[str, float] = {}
        groups = enumerate(zip(self.held_in, self.validation.groups, strict=True))
        for number, (category, group) in groups:

            def compute(number: int = number, category: Category = category) -> dict[str, float]:
                self._load_weights(variant, category)
                with timed("evaluation"):
                    predictions = self.validation.predict(self.model, number)
                return {task: mean_score(rows) for task, rows in predictions.items()}

            scores |= self.cache.scores(variant.cache_key(category), group, compute)
        return scores

    def score_record(self, predictions: Predictions) -> dict[str, dict]:
        """The scores of each dataset, as score files have them.

        Returns:
            {task: score (the mean over all examples), metric, role, category, digest, and the
            numbers of rows and of truncated prompts}; where every row is rendered by every
            template, also the score of each template and their median.
        """
        tasks = {task.name: task for group in self.test.groups for task in group}
        return {
            task: {
                "score": mean_score(predictions[task]),
                "metric": tasks[task].metric,
                "rows": len(predictions[task]),
                "truncated": self.test.truncated[task],
                **template_scores(predictions[task]),
                "role": category.role,
                "category": category.name,
                "digest": tasks[task].digest,
            }
            for category in self.categories
            for task in category.tasks
            if task in predictions
        }

    def _load_weights(self, variant: ModelVariant, category: Category) -> None:
        """Bring the weights into the model, unless they are there already."""
        key = variant.cache_key(category)
        if self._loaded != key:
            self._loaded = None  # unknown, should loading fail halfway
            with timed("merging"):
                variant.load_weights(self.model, category)
            self._loaded = key


def build_encoder(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Encoder:
    """The encoder of prompts for a model, with at most as many tokens as it has positions for.

    Raises:
        ValueError: the tokenizer has no end token.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError(
            "the model's tokenizer has no end token; name it in tokenizer_config.json (eos_token)"
        )
    limit = position_limit(model)
    return Encoder(
        tokenizer,
        max_length if limit is None else min(max_length, limit),
        encoder_decoder=model.config.is_encoder_decoder,
    )
