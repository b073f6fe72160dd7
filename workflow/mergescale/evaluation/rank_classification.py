"""Rank classification: the choice whose tokens have the highest total log-probability wins.

As in T0 (Sanh et al., 2022) and T5 (Raffel et al., 2020): log-probabilities are summed, not
averaged, and the first choice wins a tie. The prompt is run once; its key/value cache is shared
by all its choices, and choices of one token need no second pass at all.
"""

from __future__ import annotations

import torch
from transformers import DynamicCache
from transformers.modeling_utils import PreTrainedModel

from mergescale.evaluation.encoded import PromptBatch


@torch.inference_mode()
def choice_scores(model: PreTrainedModel, batch: PromptBatch, pad: int) -> list[list[float]]:
    """Sum of the log-probabilities (natural log) of each choice's tokens, a list a prompt."""
    device = next(model.parameters()).device
    longest = max(len(choice) for item in batch.items for choice in item.choices)
    cache = DynamicCache(config=model.config) if longest > 1 else None
    output = model(
        input_ids=batch.input_ids.to(device),
        attention_mask=batch.attention_mask.to(device),
        position_ids=batch.position_ids.to(device),
        past_key_values=cache,
        use_cache=cache is not None,
        logits_to_keep=1,
    )
    first = torch.log_softmax(output.logits[:, -1].float(), dim=-1)
    owner = torch.tensor([r for r, item in enumerate(batch.items) for _ in item.choices])
    choices = [choice for item in batch.items for choice in item.choices]
    ids = torch.full((len(choices), longest), pad)
    for row, choice in enumerate(choices):
        ids[row, : len(choice)] = torch.tensor(choice)
    ids, owner = ids.to(device), owner.to(device)
    scores = first[owner, ids[:, 0]].double()
    if cache is not None:
        scores += _later_tokens(model, batch, cache, owner, ids, choices)
    rows = iter(scores.tolist())
    return [[next(rows) for _ in item.choices] for item in batch.items]


def _later_tokens(
    model: PreTrainedModel,
    batch: PromptBatch,
    cache: DynamicCache,
    owner: torch.Tensor,
    ids: torch.Tensor,
    choices: list[list[int]],
) -> torch.Tensor:
    """Log-probabilities of all tokens but the first, summed; float64, (choices,)."""
    cache.batch_select_indices(owner)
    counts = torch.tensor([len(choice) for choice in choices], device=ids.device)
    steps = torch.arange(ids.shape[1] - 1, device=ids.device)
    inside = steps[None] < (counts - 1)[:, None]
    prompt_mask = batch.attention_mask.to(ids.device)[owner]
    logits = model(
        input_ids=ids[:, :-1],
        attention_mask=torch.cat([prompt_mask, inside.long()], dim=1),
        position_ids=prompt_mask.sum(1, keepdim=True) + steps[None],
        past_key_values=cache,
        use_cache=True,
    ).logits
    found = torch.log_softmax(logits.float(), dim=-1).gather(2, ids[:, 1:, None])[..., 0]
    return (found * inside).double().sum(1)


def best_choice(scores: list[float]) -> int:
    """Index of the highest score, the first one on ties."""
    return scores.index(max(scores))
