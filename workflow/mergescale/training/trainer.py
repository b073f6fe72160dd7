"""The training loop: Adafactor, warm-up and cosine decay, on accelerate; stops and resumes exactly.

One loop serves all four stages (pre-training, instruction tuning, experts, multitask), in one
process or in several that share the rows of each step. The paper's settings are in its section on
training; the configuration's `training` block holds this study's.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from torch.nn.functional import cross_entropy
from torch.optim import Adafactor
from torch.optim.lr_scheduler import LambdaLR
from transformers.modeling_utils import PreTrainedModel

from mergescale.models.loading import parameter_count
from mergescale.progress import Progress
from mergescale.training.batches import IGNORE, Batch, BatchStream, share
from mergescale.training.compute_plan import Placement
from mergescale.training.distributed import is_main, world
from mergescale.training.losses import Losses
from mergescale.training.training_checkpoint import State

# Steps between two looks at whether the loss is finite: each look waits for a GPU.
_STEPS_BETWEEN_CHECKS = 50
# Hundreds of GB take a while; what really failed is seen by the launcher, not by this.
_PATIENCE = timedelta(hours=12)
# Apart from each other, so that processes draw their own numbers for dropout.
_SEEDS_APART = 1_000_003


@dataclass(frozen=True)
class TrainConfig:
    """How one model is trained.

    Attributes:
        steps: optimizer steps; 0 leaves the model as it is.
        batch_size: rows a step, of all processes together.
        learning_rate: its peak, for Adafactor relative to each tensor's root mean square.
        warmup: steps over which the learning rate rises from 0 to its peak.
        dropout: on the attention weights.
        weight_decay: Adafactor's.
        seed: of the order of batches and of dropout.
        checkpoint_every: steps between two checkpoints; 0 makes none.
        micro_batch: rows that a process works on at a time, gradients adding up over a step; 0 is
            all of its rows.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int = 0
    dropout: float = 0.0
    weight_decay: float = 0.0
    seed: int = 0
    checkpoint_every: int = 500
    micro_batch: int = 0


def cosine_decay(step: int, steps: int, warmup: int) -> float:
    """Factor on the peak learning rate at `step` of `steps`: linear warm-up, then cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def answer_loss(model: torch.nn.Module, batch: Batch, tokens: int | None = None) -> torch.Tensor:
    """Mean cross-entropy over the labelled tokens of a batch, a scalar.

    Logits are computed for the last places only: with a small model most of the work is the
    output layer, and prompts carry no loss.

    Args:
        tokens: what the sum is divided by, where the batch is a part of a larger one.
    """
    tail = batch.labels.shape[1]
    logits = model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        use_cache=False,
        logits_to_keep=tail + 1,
    ).logits[:, :-1]
    loss = cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        batch.labels.reshape(-1),
        ignore_index=IGNORE,
        reduction="mean" if tokens is None else "sum",
    )
    return loss if tokens is None else loss / tokens


def train(
    model: PreTrainedModel,
    batches: BatchStream,
    settings: TrainConfig,
    *,
    state: Path,
    fingerprint: str,
    label: str,
    place: Placement | None = None,
) -> float | None:
    """Train `model` in place; return the mean loss of the last tenth of the steps.

    Where `place` shards it, it stays sharded: `sharding.whole` makes it whole again.

    The run's state (weights, optimizer, schedule, random numbers) is kept in the folder `state`
    every `checkpoint_every` steps, marked with `fingerprint`. A later call with the same
    fingerprint goes on from there and ends with the same weights, bit for bit, as a run that was
    never stopped; a state with another fingerprint is discarded.

    In several processes (`launch.py`) each works on its share of every batch. All of them call
    this and return the same loss; the weights are those of one process but for rounding, and for
    the numbers that dropout draws.

    Args:
        place: a CPU in fp32 by default.

    Raises:
        FloatingPointError: the loss is not finite; the message names the step.
    """
    if settings.steps == 0:
        return None
    place, size = place or Placement(), parameter_count(model)
    sharded, bf16 = place.shards(size), place.bf16(size)
    # The others wait while the main process alone reads weights or writes a state.
    patience = [InitProcessGroupKwargs(timeout=_PATIENCE)] if world() > 1 else None
    accelerator = Accelerator(
        cpu=place.device == "cpu",
        mixed_precision="bf16" if bf16 and not sharded else None,
        kwargs_handlers=patience,
    )
    torch.manual_seed(settings.seed + _SEEDS_APART * accelerator.process_index)
    model.config.attention_dropout = settings.dropout
    for module in model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = settings.dropout
    if place.recomputes(size):
        model.activation_checkpointing_enable()
    rates = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if sharded:
        # Imported for those few that need it: torch's part of it takes a while.
        from mergescale.training.adafactor import ShardedAdafactor
        from mergescale.training.sharding import Whole, shard

        shard(model, accelerator.device, bf16=bf16)
        optimizer, weights = ShardedAdafactor(model.parameters(), **rates), Whole(model)
    else:
        weights = model
        model, optimizer = accelerator.prepare(model, Adafactor(model.parameters(), **rates))
    schedule = LambdaLR(
        optimizer if sharded else optimizer.optimizer,
        lambda step: cosine_decay(step, settings.steps, settings.warmup),
    )
    losses = Losses(settings.steps)
    parts = {"model": weights, "optimizer": optimizer, "schedule": schedule, "losses": losses}
    kept = State(accelerator, state, fingerprint, parts)
    start = kept.resume()
    model.train()
    with Progress(settings.steps, label, start=start, shown=is_main()) as progress:
        for step in range(start, settings.steps):
            loss = _gradients(accelerator, model, batches[step], settings.micro_batch)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.add(step, loss)
            done = step + 1
            progress.update(done, loss=loss.detach())
            keeps = settings.checkpoint_every and done % settings.checkpoint_every == 0
            if keeps or done % _STEPS_BETWEEN_CHECKS == 0:
                losses.check(done)
            if keeps and done < settings.steps:
                kept.keep(done)
    losses.check(settings.steps)
    finite = all(_local(parameter).isfinite().all() for parameter in model.parameters())
    broken = torch.tensor(float(not finite), device=accelerator.device)
    if accelerator.reduce(broken, "sum"):
        raise FloatingPointError(
            "the last training steps broke the weights: lower the learning rate"
        )
    accelerator.unwrap_model(model).eval()
    return losses.mean()


def _gradients(
    accelerator: Accelerator, model: torch.nn.Module, batch: Batch, micro_batch: int
) -> torch.Tensor:
    """Add a batch's gradients, over all processes, to the parameters; return its mean loss."""
    processes, device = accelerator.num_processes, accelerator.device
    parts = share(
        batch, rank=accelerator.process_index, processes=processes, micro_batch=micro_batch
    )
    if parts[0] is batch:
        loss = answer_loss(model, _to(batch, device))
        accelerator.backward(loss)
        return loss
    # Every process knows the labels of all rows, so each part is weighted by its tokens.
    tokens, total = batch.tokens, torch.zeros((), device=device)
    for number, part in enumerate(parts, 1):
        # Gradients are exchanged with those of the last part; sharded ones each time, since no
        # process could hold them all.
        with nullcontext() if number == len(parts) else accelerator.no_sync(model):
            loss = answer_loss(model, _to(part, device), tokens)
            # Gradients are averaged over processes, and are to be added up.
            accelerator.backward(loss * processes)
        total += loss.detach()
    return accelerator.reduce(total, "sum")


def _local(parameter: torch.Tensor) -> torch.Tensor:
    """What this process holds of a parameter."""
    return parameter.to_local() if hasattr(parameter, "to_local") else parameter


def settings_record(settings: TrainConfig) -> dict:
    """The settings that decide a result (not how often it is kept), for records and digests."""
    record = asdict(settings)
    del record["checkpoint_every"]
    return record


def _to(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        *(
            getattr(batch, name).to(device)
            for name in ("input_ids", "attention_mask", "position_ids", "labels")
        )
    )
