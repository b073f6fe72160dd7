"""Greedy generation in batches, with the prompt's key/value cache."""

from __future__ import annotations

import torch
from transformers.modeling_utils import PreTrainedModel

from mergescale.evaluation.metrics import score_answers
from mergescale.evaluation.predictions import Prediction
from mergescale.evaluation.prefill import prefill
from mergescale.evaluation.requests import EvalTask, RequestBatch


@torch.inference_mode()
def generate_greedy(model: PreTrainedModel, batch: RequestBatch, end: int) -> list[list[int]]:
    """Generate the greedy answer to each prompt.

    Rows that have ended leave the batch once they are half of it.

    Args:
        model: the model.
        batch: the prompts.
        end: id of the end token.

    Returns:
        For each request, the token ids up to the end token (without it) or its
        `max_answer_tokens`.
    """
    limits = torch.tensor([request.max_answer_tokens for request in batch.requests])
    rows = torch.arange(len(batch.requests))
    answers: list[list[int]] = [[] for _ in batch.requests]
    longest = int(limits.max())
    prompts = prefill(model, batch, use_cache=longest > 1)
    logits = prompts.logits
    for step in range(longest):
        tokens = logits.argmax(-1)
        on_cpu = tokens.cpu()
        alive = (on_cpu != end) & (step < limits[rows])
        for row, token, keep in zip(rows.tolist(), on_cpu.tolist(), alive.tolist(), strict=True):
            if keep:
                answers[row].append(token)
            else:
                limits[row] = 0
        live = limits[rows] > step + 1
        if not live.any():
            break
        if live.sum() * 2 <= len(live):
            selected = live.nonzero()[:, 0]
            rows = rows[selected]
            selected = selected.to(tokens.device)
            prompts.select(selected)
            tokens = tokens[selected]
        ids = tokens[:, None]
        logits = prompts.decode(ids, torch.ones_like(ids, dtype=torch.bool))
    return answers


def predict_answers(task: EvalTask, answers: list[str]) -> list[Prediction]:
    """The predictions for all examples of a task, from the generated texts."""
    scores = score_answers(task.metric, answers, [e.references for e in task.examples])
    return [
        Prediction(example.id, example.template, answer, score)
        for example, answer, score in zip(task.examples, answers, scores, strict=True)
    ]
