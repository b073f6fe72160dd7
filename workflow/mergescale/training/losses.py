"""What objectives share: the logits of labeled tokens and their cross-entropy."""

from __future__ import annotations

import torch
from torch.nn import functional

from mergescale.training.batches import IGNORE, Batch


def compute_logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Compute the logits that predict the labels of a batch.

    Only these positions go through the output layer: in a small model it is most of the work, and
    prompts have no loss.

    Returns:
        float32 (bf16 where the model computes in it), (rows, labels, vocabulary).
    """
    return model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        use_cache=False,
        logits_to_keep=batch.labels.shape[1] + 1,
    ).logits[:, :-1]


def summed_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum the cross-entropy over labeled tokens, a scalar; 0 where there is no label.

    Args:
        logits: (rows, labels, vocabulary).
        labels: int64, (rows, labels), `IGNORE` where there is no loss.
    """
    return functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        labels.reshape(-1),
        ignore_index=IGNORE,
        reduction="sum",
    )
