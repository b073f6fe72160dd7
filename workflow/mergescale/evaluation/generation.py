"""Greedy generation in batches, with the prompt's key/value cache."""

from __future__ import annotations

import torch
from transformers.modeling_utils import PreTrainedModel

from mergescale.evaluation.prefill import read_prompts
from mergescale.evaluation.requests import PromptBatch


@torch.inference_mode()
def greedy(model: PreTrainedModel, batch: PromptBatch, end: int) -> list[list[int]]:
    """Token ids of the greedy answer to each prompt, up to its end token or its item's limit.

    Rows that have ended leave the batch once they are half of it.
    """
    limits = torch.tensor([item.limit for item in batch.items])
    rows = torch.arange(len(batch.items))
    answers: list[list[int]] = [[] for _ in batch.items]
    longest = int(limits.max())
    prompts = read_prompts(model, batch, goes_on=longest > 1)
    logits = prompts.logits
    for step in range(longest):
        tokens = logits.argmax(-1)
        said = tokens.cpu()
        alive = (said != end) & (step < limits[rows])
        for row, token, keep in zip(rows.tolist(), said.tolist(), alive.tolist(), strict=True):
            if keep:
                answers[row].append(token)
            else:
                limits[row] = 0
        live = limits[rows] > step + 1
        if not live.any():
            break
        if live.sum() * 2 <= len(live):
            chosen = live.nonzero()[:, 0]
            rows = rows[chosen]
            chosen = chosen.to(tokens.device)
            prompts.select(chosen)
            tokens = tokens[chosen]
        ids = tokens[:, None]
        logits = prompts.advance(ids, torch.ones_like(ids, dtype=torch.bool))
    return answers
