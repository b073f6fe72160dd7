"""AdamW (Loshchilov and Hutter, 2019, arXiv 1711.05101), as in torch; its rates are absolute."""

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
    """Make torch's AdamW."""
    if sharded:
        from mergescale.training.sharded_optimizers import ShardedAdamW

        return ShardedAdamW(parameters, lr=learning_rate, weight_decay=weight_decay)
    return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)
