"""Adafactor (Shazeer and Stern, 2018, arXiv 1804.04235), as in torch: the paper's optimizer."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def build(
    parameters: Iterable[torch.nn.Parameter],
    *,
    learning_rate: float,
    weight_decay: float,
    sharded: bool,
) -> torch.optim.Optimizer:
    """Make torch's Adafactor, or its counterpart for sharded parameters."""
    if sharded:
        from mergescale.training.sharded_optimizers import ShardedAdafactor

        return ShardedAdafactor(parameters, lr=learning_rate, weight_decay=weight_decay)
    return torch.optim.Adafactor(parameters, lr=learning_rate, weight_decay=weight_decay)
