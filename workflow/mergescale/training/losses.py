"""The losses of a run: what is reported of them, and the look that finds a diverged one."""

from __future__ import annotations

import math

import torch


class Losses:
    """Sum of the losses over the last tenth of the steps; kept with the run's state.

    A diverged run stays diverged, so looking at the last loss now and then finds it.
    """

    def __init__(self, steps: int) -> None:
        self.first = steps - max(1, steps // 10)
        self.total, self.count = 0.0, 0
        self.last: torch.Tensor | float = 0.0

    def add(self, step: int, loss: torch.Tensor) -> None:
        """Count the loss of a step in, without waiting for it."""
        self.last = loss.detach()
        if step >= self.first:
            self.total, self.count = self.total + self.last.double(), self.count + 1

    def mean(self) -> float:
        """Mean over the last tenth of the steps."""
        return float(self.total) / self.count

    def check(self, step: int) -> None:
        """Raise FloatingPointError, which names `step`, where the losses are not finite."""
        if not math.isfinite(float(self.total) + float(self.last)):
            raise FloatingPointError(
                f"the training loss is not finite by step {step}: lower the learning rate"
            )

    def state_dict(self) -> dict:
        """For a resumed run."""
        return {"total": float(self.total), "count": self.count}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a kept sum."""
        self.total, self.count = state["total"], state["count"]
