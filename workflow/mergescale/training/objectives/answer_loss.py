"""Cross-entropy on the answer and its end token, given the prompt: how experts are fine-tuned."""

from __future__ import annotations

import torch

from mergescale.training.batches import Batch
from mergescale.training.losses import compute_logits, summed_cross_entropy


def label_tokens(prompt: list[int], answer: list[int]) -> list[int]:
    """Label the answer; the prompt is read only."""
    return answer


def compute_loss(model: torch.nn.Module, batch: Batch, num_labels: int) -> torch.Tensor:
    """Compute the mean cross-entropy over labeled tokens, a scalar."""
    logits = compute_logits(model, batch)
    return summed_cross_entropy(logits, batch.labels) / num_labels
