"""The training loop: warm-up and cosine decay on accelerate; an interrupted run resumes exactly.

One loop serves all four stages (pre-training, instruction tuning, experts, multitask), in one
process or in several that share the rows of each step. The paper's settings are in its section on
training; the configuration's `training` block has this study's.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from torch.optim.lr_scheduler import LambdaLR
from transformers.modeling_utils import PreTrainedModel

from mergescale.models.loading import parameter_count
from mergescale.progress import Progress
from mergescale.training.batches import Batch, BatchStream, local_microbatches
from mergescale.training.compute_plan import ComputePlan
from mergescale.training.config import TrainConfig
from mergescale.training.distributed import is_main, world_size
from mergescale.training.registry import Objective, get_objective, get_optimizer
from mergescale.training.training_checkpoint import Stateful, TrainingCheckpoint

# Steps between two checks that the loss is finite: each check waits for the GPU.
STEPS_BETWEEN_CHECKS = 50
# The others wait while the main process reads or writes hundreds of GB. A process that fails ends
# the others through the launcher, without this timeout.
PROCESS_GROUP_TIMEOUT = timedelta(hours=12)
# Far apart, so that each process draws its own numbers for dropout.
_SEED_STRIDE = 1_000_003


def cosine_decay(step: int, steps: int, warmup: int) -> float:
    """Factor on the peak learning rate at `step` of `steps`: linear warm-up, then cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def train(
    model: PreTrainedModel,
    batches: BatchStream,
    config: TrainConfig,
    *,
    checkpoint_dir: Path,
    fingerprint: str,
    label: str,
    plan: ComputePlan | None = None,
) -> float | None:
    """Train a model in place.

    A model that `plan` shards stays sharded: `sharding.gather_full_model` gathers it.

    A run saves its weights, optimizer, schedule and random states in `checkpoint_dir` every
    `checkpoint_every` steps. A later call with the same fingerprint resumes there and ends with the
    same weights, bit for bit, as a run that was never interrupted; a checkpoint with another
    fingerprint is deleted.

    In several processes (`launch.py`) each works on its rows of every batch. All of them call this
    and return the same loss. The weights are those of one process but for rounding, and but for the
    numbers that dropout draws.

    Args:
        model: fp32 weights.
        batches: the batch of each step.
        config: how the model is trained.
        checkpoint_dir: a folder for this run alone.
        fingerprint: digest of everything that decides the run's result.
        label: what the progress line calls the run.
        plan: device, precision and sharding; a CPU in fp32 by default.

    Returns:
        The mean loss of the last tenth of the steps; None if there are no steps.

    Raises:
        FloatingPointError: the loss or the weights are not finite; the message names the step.
    """
    if config.steps == 0:
        return None
    plan, size = plan or ComputePlan(), parameter_count(model)
    sharded = plan.shards(size)
    accelerator = _make_accelerator(plan, mixed_precision=plan.uses_bf16(size) and not sharded)
    torch.manual_seed(config.seed + _SEED_STRIDE * accelerator.process_index)
    _set_dropout(model, config.dropout)
    if plan.recomputes_activations(size):
        model.activation_checkpointing_enable()
    objective, build_optimizer = get_objective(config.objective), get_optimizer(config.optimizer)
    settings: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
        "sharded": sharded,
    }
    weights: Stateful = model
    if sharded:
        # Imported only here, since torch's part of it is slow to import.
        from mergescale.training.sharding import FullStateDict, shard

        shard(model, accelerator.device, bf16=plan.uses_bf16(size))
        optimizer = inner = build_optimizer.build(model.parameters(), **settings)
        weights = FullStateDict(model)
    else:
        inner = build_optimizer.build(model.parameters(), **settings)
        model, optimizer = accelerator.prepare(model, inner)
    schedule = LambdaLR(inner, lambda step: cosine_decay(step, config.steps, config.warmup))
    losses = LossAverage(config.steps)
    parts = {"model": weights, "optimizer": optimizer, "schedule": schedule, "losses": losses}
    checkpoint = TrainingCheckpoint(accelerator, checkpoint_dir, fingerprint, parts)
    start = checkpoint.resume()
    model.train()
    with Progress(config.steps, label, start=start, shown=is_main()) as progress:
        for step in range(start, config.steps):
            loss = _backward(accelerator, model, objective, batches[step], config.micro_batch)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.add(step, loss)
            done = step + 1
            progress.update(done, loss=loss.detach())
            save = config.checkpoint_every and done % config.checkpoint_every == 0
            if save or done % STEPS_BETWEEN_CHECKS == 0:
                losses.check_finite(done)
            if save and done < config.steps:
                checkpoint.save(done)
    losses.check_finite(config.steps)
    _check_weights(accelerator, model)
    accelerator.unwrap_model(model).eval()
    return losses.mean()


def _make_accelerator(plan: ComputePlan, *, mixed_precision: bool) -> Accelerator:
    timeout = [InitProcessGroupKwargs(timeout=PROCESS_GROUP_TIMEOUT)]
    return Accelerator(
        cpu=plan.device == "cpu",
        mixed_precision="bf16" if mixed_precision else None,
        kwargs_handlers=timeout if world_size() > 1 else None,
    )


def _set_dropout(model: PreTrainedModel, rate: float) -> None:
    model.config.attention_dropout = rate
    for module in model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = rate


def _backward(
    accelerator: Accelerator,
    model: torch.nn.Module,
    objective: Objective,
    batch: Batch,
    micro_batch: int,
) -> torch.Tensor:
    """Add a batch's gradients, of all processes, to the parameters; return its loss, a scalar."""
    processes, device = accelerator.num_processes, accelerator.device
    parts = local_microbatches(
        batch, rank=accelerator.process_index, world_size=processes, micro_batch=micro_batch
    )
    # Every process knows the labels of all rows, so the losses of all parts add up to the batch's.
    num_labels, total = batch.num_labels, torch.zeros((), device=device)
    for number, part in enumerate(parts, 1):
        # Gradients are exchanged with those of the last part; sharded ones each time, since no
        # process could hold them all.
        with nullcontext() if number == len(parts) else accelerator.no_sync(model):
            loss = objective.compute_loss(model, part.to(device), num_labels)
            # Gradients are averaged over processes, but have to be added up.
            accelerator.backward(loss * processes)
        total += loss.detach()
    return accelerator.reduce(total, "sum")


def _check_weights(accelerator: Accelerator, model: torch.nn.Module) -> None:
    finite = all(
        (parameter.to_local() if hasattr(parameter, "to_local") else parameter).isfinite().all()
        for parameter in model.parameters()
    )
    broken = torch.tensor(float(not finite), device=accelerator.device)
    if accelerator.reduce(broken, "sum"):
        raise FloatingPointError(
            "the last training steps made the weights infinite or NaN: lower the learning rate"
        )


class LossAverage:
    """The mean loss of the last tenth of the steps, which is saved with the run's checkpoints.

    A diverged run stays diverged, so checking the last loss now and then finds it.
    """

    def __init__(self, steps: int) -> None:
        self.first = steps - max(1, steps // 10)
        self.total: torch.Tensor | float = 0.0
        self.count = 0
        self.last: torch.Tensor | float = 0.0

    def add(self, step: int, loss: torch.Tensor) -> None:
        """Count the loss of a step, without waiting for the GPU."""
        self.last = loss.detach()
        if step >= self.first:
            self.total, self.count = self.total + self.last.double(), self.count + 1

    def mean(self) -> float:
        """Mean over the last tenth of the steps."""
        return float(self.total) / self.count

    def check_finite(self, step: int) -> None:
        """Raise FloatingPointError, which names `step`, if the losses are not finite."""
        if not math.isfinite(float(self.total) + float(self.last)):
            raise FloatingPointError(
                f"the training loss is not finite by step {step}: lower the learning rate"
            )

    def state_dict(self) -> dict[str, Any]:
        """The sum so far."""
        return {"total": float(self.total), "count": self.count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved sum."""
        self.total, self.count = state_dict["total"], state_dict["count"]
