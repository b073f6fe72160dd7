"""Greedy generation in batches, with the prompt's key/value cache."""

from __future__ import annotations

import torch
from transformers import DynamicCache
from transformers.modeling_utils import PreTrainedModel

from mergescale.evaluation.encoded import PromptBatch


@torch.inference_mode()
def greedy(model: PreTrainedModel, batch: PromptBatch, end: int) -> list[list[int]]:
    """Token ids of the greedy answer to each prompt, up to its end token or its item's limit.

    Rows that have ended leave the batch once they are half of it.
    """
    device = next(model.parameters()).device
    limits = torch.tensor([item.limit for item in batch.items], device=device)
    mask = batch.attention_mask.to(device)
    position = batch.position_ids[:, -1:].to(device)
    rows = torch.arange(len(batch.items), device=device)
    answers: list[list[int]] = [[] for _ in batch.items]
    cache = DynamicCache(config=model.config)
    inputs, positions = batch.input_ids.to(device), batch.position_ids.to(device)
    for step in range(int(limits.max())):
        logits = model(
            input_ids=inputs,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        tokens = logits.argmax(-1)
        alive = (tokens != end) & (step < limits[rows])
        for row, token, keep in zip(rows.tolist(), tokens.tolist(), alive.tolist(), strict=True):
            if keep:
                answers[row].append(token)
            else:
                limits[row] = 0
        live = limits[rows] > step + 1
        if not live.any():
            break
        if live.sum() * 2 <= len(live):
            chosen = live.nonzero()[:, 0]
            cache.batch_select_indices(chosen)
            rows, tokens, mask, position = (x[chosen] for x in (rows, tokens, mask, position))
        inputs = tokens[:, None]
        position = position + 1
        positions = position
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    return answers
