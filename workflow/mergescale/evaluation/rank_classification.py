"""Rank classification: the choice whose tokens have the highest total log-probability wins.

As in T0 (Sanh et al., 2022) and T5 (Raffel et al., 2020): log-probabilities are summed, not
averaged, and the first choice wins a tie. The prompt is run once and shared by all its choices;
choices of one token need no second pass at all, and of longer ones the last token is never run.
"""

from __future__ import annotations

import torch
from transformers.modeling_utils import PreTrainedModel

from mergescale.evaluation.prefill import Prompts, read_prompts
from mergescale.evaluation.requests import PromptBatch

# Logits that are normalised at once.
_CPU_BLOCK, _GPU_BLOCK = 2**19, 2**27


@torch.inference_mode()
def choice_scores(model: PreTrainedModel, batch: PromptBatch, pad: int) -> list[list[float]]:
    """Sum of the log-probabilities (natural log) of each choice's tokens, a list a prompt."""
    choices = [choice for item in batch.items for choice in item.choices]
    longest = max(map(len, choices))
    prompts = read_prompts(model, batch, goes_on=longest > 1)
    first = torch.log_softmax(prompts.logits.float(), dim=-1)
    ids = torch.tensor([choice + [pad] * (longest - len(choice)) for choice in choices])
    owner = torch.tensor([row for row, item in enumerate(batch.items) for _ in item.choices])
    ids, owner = ids.to(first.device), owner.to(first.device)
    scores = first[owner, ids[:, 0]].double()
    if longest > 1:
        # Choices of one token, if there are any among longer ones, are scored by now.
        rows = torch.tensor([row for row, choice in enumerate(choices) if len(choice) > 1])
        lengths = torch.tensor([len(choices[row]) for row in rows])
        rows, lengths = rows.to(ids.device), lengths.to(ids.device)
        prompts.select(owner[rows])
        scores[rows] += _later_tokens(prompts, ids[rows], lengths)
    found = iter(scores.tolist())
    return [[next(found) for _ in item.choices] for item in batch.items]


def _later_tokens(prompts: Prompts, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of all tokens but the first, summed; float64, (choices,)."""
    steps = torch.arange(ids.shape[1] - 1, device=ids.device)
    inside = steps[None] < (lengths - 1)[:, None]
    logits = prompts.advance(ids[:, :-1], inside)
    sums = torch.zeros(inside.shape, dtype=torch.float64, device=ids.device)
    sums[inside] = _log_probabilities(logits, ids[:, 1:][inside]).double()
    return sums.sum(1)


def _log_probabilities(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Log-probability of one token a row of `logits`; fp32, (rows,).

    By blocks of rows that a CPU's cache holds: of all rows at once it takes four times as long.
    """
    block = max(1, (_CPU_BLOCK if logits.device.type == "cpu" else _GPU_BLOCK) // logits.shape[1])
    return torch.cat(
        [
            torch.log_softmax(some.float(), dim=-1).gather(1, of[:, None])[:, 0]
            for some, of in zip(logits.split(block), ids.split(block), strict=True)
        ]
    )


def best_choice(scores: list[float]) -> int:
    """Index of the highest score, the first one on ties."""
    return scores.index(max(scores))
