"""Answer cross-entropy plus 1e-4 log(Z)^2, which keeps logits from drifting (PaLM).

Z is the softmax's normalizer. Chowdhery et al., 2022, arXiv 2204.02311, section 5.
"""

from __future__ import annotations

import torch

from mergescale.training.batches import IGNORE, Batch
from mergescale.training.losses import compute_logits, summed_cross_entropy
from mergescale.training.objectives.answer_loss import label_tokens

__all__ = ["compute_loss", "label_tokens"]

Z_LOSS_WEIGHT = 1e-4


def compute_loss(model: torch.nn.Module, batch: Batch, num_labels: int) -> torch.Tensor:
    """Compute the mean over labeled tokens of cross-entropy and z-loss, a scalar."""
    logits = compute_logits(model, batch)
    log_z = logits.logsumexp(dim=-1)[batch.labels != IGNORE]
    z_loss = Z_LOSS_WEIGHT * log_z.square().sum()
    return (summed_cross_entropy(logits, batch.labels) + z_loss) / num_labels
