"""Scores a resident model on tasks: one encoder, one set of batches, many sets of weights."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from transformers.modeling_utils import PreTrainedModel

from mergescale.evaluation.generation import greedy
from mergescale.evaluation.metrics import generation_score
from mergescale.evaluation.rank_classification import best_choice, choice_scores
from mergescale.evaluation.requests import EncodedTask, batches, encode
from mergescale.models.tokenizers import Encoder

# Log-probabilities are recorded to this many decimals: more would be noise of the arithmetic.
_DECIMALS = 4


@dataclass(frozen=True)
class EvalConfig:
    """How models are scored.

    Attributes:
        end_token: the end-of-text token closes every choice in rank classification.
        max_new_tokens: most tokens that are generated.
        batch_tokens: about how many tokens are scored at once; a CPU is fastest with few, whose
            intermediate results stay in its cache.
    """

    end_token: bool = False
    max_new_tokens: int = 32
    batch_tokens: int = 2048

    def record(self) -> dict:
        """What decides a score, for content addresses."""
        return {"end_token": self.end_token, "max_new_tokens": self.max_new_tokens}


@dataclass(frozen=True)
class Prediction:
    """What a model answered to one example.

    Attributes:
        id, template: the example's.
        answer: the chosen label string or the generated text.
        score: the metric's value for this example, in 0..1.
        choice_scores: total log-probability of each choice; empty for generation.
    """

    id: str
    template: str
    answer: str
    score: float
    choice_scores: tuple[float, ...] = ()


class Scorer:
    """Batches of a fixed list of tasks for one tokenizer.

    Batches never mix groups of tasks, so a task's scores depend on its group alone, not on what
    else is evaluated in the same run.

    Attributes:
        groups: the tasks.
        truncated: how many prompts of each task lost their beginning, because they were too long.
    """

    def __init__(
        self, encoder: Encoder, groups: Iterable[Sequence[EncodedTask]], options: EvalConfig
    ) -> None:
        self.encoder = encoder
        self.groups = [tuple(group) for group in groups]
        self.truncated: dict[str, int] = {}
        self._batches = []
        for group in self.groups:
            items = encode(
                group,
                encoder,
                end_token=options.end_token,
                max_new_tokens=options.max_new_tokens,
            )
            self._batches.append(batches(items, encoder, options.batch_tokens))
            counts = Counter(item.task for item in items if item.truncated)
            self.truncated |= {task.name: counts[task.name] for task in group}

    def predict(
        self,
        model: PreTrainedModel,
        group: int,
        done: Callable[[int], None] = lambda rows: None,
    ) -> dict[str, list[Prediction]]:
        """Predictions for every example of every task of a group, in the examples' order.

        Args:
            done: told how many rows were scored, batch by batch.

        Raises:
            FloatingPointError: a score is not finite.
        """
        tasks = {task.name: task for task in self.groups[group]}
        found: dict[str, dict[int, Prediction]] = {name: {} for name in tasks}
        for batch in self._batches[group]:
            ranked = bool(batch.items[0].choices)
            if ranked:
                answers = choice_scores(model, batch, self.encoder.pad)
            else:
                answers = greedy(model, batch, self.encoder.end)
            for item, answer in zip(batch.items, answers, strict=True):
                task = tasks[item.task]
                found[item.task][item.row] = (
                    _ranked(task, item.row, answer)
                    if ranked
                    else _generated(task, item.row, self.encoder.text(answer))
                )
            done(len(batch.items))
        return {name: [rows[i] for i in range(len(rows))] for name, rows in found.items()}


def mean_score(predictions: Sequence[Prediction]) -> float:
    """Score of a dataset: the mean over its examples, rounded to 6 decimals."""
    return round(sum(p.score for p in predictions) / len(predictions), 6)


def _ranked(task: EncodedTask, row: int, scores: list[float]) -> Prediction:
    example = task.examples[row]
    if not all(map(math.isfinite, scores)):
        raise FloatingPointError(
            f"task {task.name}, example {example.id}: the model's scores are not finite; "
            "its weights are broken, or too far from those it was trained to"
        )
    rounded = [round(score, _DECIMALS) for score in scores]
    answer = example.choices[best_choice(rounded)]
    return Prediction(
        example.id, example.template, answer, float(answer == example.target), tuple(rounded)
    )


def _generated(task: EncodedTask, row: int, text: str) -> Prediction:
    example = task.examples[row]
    return Prediction(
        example.id,
        example.template,
        text,
        generation_score(task.metric, text, example.references),
    )
