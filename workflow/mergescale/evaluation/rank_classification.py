"""Rank classification: the choice with the highest total log-probability is the answer.

As in T0 (Sanh et al., 2022) and T5 (Raffel et al., 2020): log-probabilities are summed, not
averaged, and the first choice wins a tie. The prompt is run once and shared by its choices; choices
of one token need no second pass, and the last token of a longer one is never run.
"""

from __future__ import annotations

import math

import torch
from transformers.modeling_utils import PreTrainedModel

from mergescale.evaluation.predictions import Prediction
from mergescale.evaluation.prefill import Prefill, prefill
from mergescale.evaluation.requests import EvalTask, RequestBatch

# Log-probabilities are recorded to this many decimals; further ones are numerical noise.
_DECIMALS = 4
# Number of logits that are normalized at a time.
_CPU_BLOCK, _GPU_BLOCK = 2**19, 2**27


@torch.inference_mode()
def score_choices(model: PreTrainedModel, batch: RequestBatch, pad: int) -> list[list[float]]:
    """Compute the sum of the log-probabilities of each choice's tokens.

    Args:
        model: the model.
        batch: requests with choices.
        pad: token id that pads shorter choices; it has no effect on scores.

    Returns:
        For each request, the natural-log probability of each of its choices.
    """
    choices = [choice for request in batch.requests for choice in request.choices]
    longest = max(map(len, choices))
    prompts = prefill(model, batch, use_cache=longest > 1)
    first = torch.log_softmax(prompts.logits.float(), dim=-1)
    ids = torch.tensor([choice + [pad] * (longest - len(choice)) for choice in choices])
    owner = torch.tensor([row for row, r in enumerate(batch.requests) for _ in r.choices])
    ids, owner = ids.to(first.device), owner.to(first.device)
    scores = first[owner, ids[:, 0]].double()
    if longest > 1:
        # Choices of one token, if there are any among longer ones, need no further step.
        rows = torch.tensor([row for row, choice in enumerate(choices) if len(choice) > 1])
        lengths = torch.tensor([len(choices[row]) for row in rows])
        rows, lengths = rows.to(ids.device), lengths.to(ids.device)
        prompts.select(owner[rows])
        scores[rows] += _score_later_tokens(prompts, ids[rows], lengths)
    remaining = iter(scores.tolist())
    return [[next(remaining) for _ in request.choices] for request in batch.requests]


def best_choice(scores: list[float]) -> int:
    """Index of the highest score; the first one on ties."""
    return scores.index(max(scores))


def predict_choice(task: EvalTask, row: int, scores: list[float]) -> Prediction:
    """The prediction for one example, from the log-probabilities of its choices.

    Raises:
        FloatingPointError: a log-probability is not finite.
    """
    example = task.examples[row]
    if not all(map(math.isfinite, scores)):
        raise FloatingPointError(
            f"task {task.name}, example {example.id}: the model's scores are not finite; "
            "its weights are broken, or too far from those of its training"
        )
    rounded = [round(score, _DECIMALS) for score in scores]
    answer = example.choices[best_choice(rounded)]
    accuracy = float(answer == example.target)
    return Prediction(example.id, example.template, answer, accuracy, tuple(rounded))


def _score_later_tokens(prompts: Prefill, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Sum of the log-probabilities of all tokens but the first; float64, (choices,)."""
    steps = torch.arange(ids.shape[1] - 1, device=ids.device)
    is_token = steps[None] < (lengths - 1)[:, None]
    logits = prompts.decode(ids[:, :-1], is_token)
    sums = torch.zeros(is_token.shape, dtype=torch.float64, device=ids.device)
    sums[is_token] = _log_probabilities(logits, ids[:, 1:][is_token]).double()
    return sums.sum(1)


def _log_probabilities(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Log-probability of one token per row of `logits`; fp32, (rows,).

    Computed in blocks of rows that fit a CPU's cache; all rows at once take four times as long.
    """
    block = max(1, (_CPU_BLOCK if logits.device.type == "cpu" else _GPU_BLOCK) // logits.shape[1])
    return torch.cat(
        [
            torch.log_softmax(some.float(), dim=-1).gather(1, of[:, None])[:, 0]
            for some, of in zip(logits.split(block), ids.split(block), strict=True)
        ]
    )
