"""The settings of one training run, as the command line and `training` in the config give them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from mergescale.argument_types import Count, Positive
from mergescale.training.registry import check_objective, check_optimizer


@dataclass(frozen=True)
class TrainConfig:
    """How one model is trained.

    Attributes:
        steps: optimizer steps; 0 leaves the model as it is.
        batch_size: rows a step, of all processes together.
        learning_rate: the peak of the schedule. For Adafactor it is relative to each tensor's root
            mean square, for AdamW absolute.
        objective: the loss, a file of `training/objectives/`.
        optimizer: a file of `training/optimizers/`.
        warmup: steps over which the learning rate rises from 0 to its peak.
        dropout: rate on the attention weights, in [0, 1).
        weight_decay: of the optimizer.
        seed: of the order of batches and of dropout.
        checkpoint_every: steps between two checkpoints; 0 writes none.
        micro_batch: rows that a process works on at a time, accumulating gradients over a step; 0
            is all of its rows.
    """

    steps: Annotated[Count, "optimizer steps; 0 leaves the model as it is"]
    batch_size: Annotated[Positive, "rows a step, of all processes together"]
    learning_rate: Annotated[float, "peak of the schedule; for Adafactor relative to the weights"]
    objective: Annotated[str, "loss: a file of training/objectives/"] = "answer_loss"
    optimizer: Annotated[str, "optimizer: a file of training/optimizers/"] = "adafactor"
    warmup: Annotated[Count, "steps over which the learning rate rises from 0"] = 0
    dropout: Annotated[float, "rate on the attention weights"] = 0.0
    weight_decay: Annotated[float, "of the optimizer"] = 0.0
    seed: Annotated[int, "of the order of batches and of dropout"] = 0
    checkpoint_every: Annotated[Count, "steps between two checkpoints; 0 writes none"] = 500
    micro_batch: Annotated[
        Count, "rows that a process works on at a time; 0 is all of its rows of a step"
    ] = 0

    def __post_init__(self) -> None:
        minimums = {"steps": 0, "batch_size": 1, "warmup": 0, "checkpoint_every": 0}
        for name, minimum in {**minimums, "micro_batch": 0, "weight_decay": 0}.items():
            if not (value := getattr(self, name)) >= minimum:
                raise ValueError(f"{name} must be at least {minimum}, not {value}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")
        check_objective(self.objective)
        check_optimizer(self.optimizer)

    def record(self) -> dict[str, Any]:
        """The settings that decide a result, for records and fingerprints."""
        settings = asdict(self)
        del settings["checkpoint_every"]
        return settings
