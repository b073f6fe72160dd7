"""The training loop: Adafactor, warm-up and cosine decay, on accelerate; stops and resumes exactly.

One loop serves all four stages (pre-training, instruction tuning, experts, multitask). The paper's
settings are in its section on training; the configuration's `training` block holds this study's.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.nn.functional import cross_entropy
from torch.optim import Adafactor
from torch.optim.lr_scheduler import LambdaLR
from transformers.modeling_utils import PreTrainedModel

from mergescale.progress import Progress
from mergescale.training.batches import IGNORE, Batch, BatchStream

# Steps between two looks at whether the loss is finite: each look waits for a GPU.
_STEPS_BETWEEN_CHECKS = 50
# It says at each checkpoint that tied weights are stored once, which is as it should be.
logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Settings:
    """How one model is trained.

    Attributes:
        steps: optimizer steps; 0 leaves the model as it is.
        batch_size: rows a step.
        learning_rate: its peak, for Adafactor relative to each tensor's root mean square.
        warmup: steps over which the learning rate rises from 0 to its peak.
        dropout: on the attention weights.
        weight_decay: Adafactor's.
        seed: of the order of batches and of dropout.
        checkpoint_every: steps between two checkpoints; 0 makes none.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int = 0
    dropout: float = 0.0
    weight_decay: float = 0.0
    seed: int = 0
    checkpoint_every: int = 500


def cosine_decay(step: int, steps: int, warmup: int) -> float:
    """Factor on the peak learning rate at `step` of `steps`: linear warm-up, then cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def answer_loss(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy over the labelled tokens of a batch, a scalar.

    Logits are computed for the last places only: with a small model most of the work is the
    output layer, and prompts carry no loss.
    """
    tail = batch.labels.shape[1]
    logits = model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        use_cache=False,
        logits_to_keep=tail + 1,
    ).logits[:, :-1]
    return cross_entropy(
        logits.reshape(-1, logits.shape[-1]), batch.labels.reshape(-1), ignore_index=IGNORE
    )


def train(
    model: PreTrainedModel,
    batches: BatchStream,
    settings: Settings,
    *,
    state: Path,
    fingerprint: str,
    label: str,
    device: str = "cpu",
) -> float | None:
    """Train `model` in place; return the mean loss of the last tenth of the steps.

    The run's state (weights, optimizer, schedule, random numbers) is kept in the folder `state`
    every `checkpoint_every` steps, marked with `fingerprint`. A later call with the same
    fingerprint goes on from there and ends with the same weights, bit for bit, as a run that was
    never stopped; a state with another fingerprint is discarded.

    Raises:
        FloatingPointError: the loss is not finite; the message names the step.
    """
    if settings.steps == 0:
        return None
    torch.manual_seed(settings.seed)
    model.config.attention_dropout = settings.dropout
    for module in model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = settings.dropout
    accelerator = Accelerator(cpu=device == "cpu")
    optimizer = Adafactor(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = LambdaLR(optimizer, lambda step: cosine_decay(step, settings.steps, settings.warmup))
    model, optimizer = accelerator.prepare(model, optimizer)
    accelerator.register_for_checkpointing(schedule)
    losses = _Losses(settings.steps)
    accelerator.register_for_checkpointing(losses)
    start = _resume(accelerator, state, fingerprint)
    model.train()
    with Progress(settings.steps, label, start=start) as progress:
        for step in range(start, settings.steps):
            loss = answer_loss(model, _to(batches[step], accelerator.device))
            accelerator.backward(loss)
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
                _keep(accelerator, state, fingerprint, done)
    losses.check(settings.steps)
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        raise FloatingPointError(
            "the last training steps broke the weights: lower the learning rate"
        )
    accelerator.unwrap_model(model).eval()
    return losses.mean()


def forget(state: Path) -> None:
    """Remove the kept state of a run whose result is safely stored."""
    shutil.rmtree(state, ignore_errors=True)


def settings_record(settings: Settings) -> dict:
    """The settings that decide a result (not how often it is kept), for records and digests."""
    record = asdict(settings)
    del record["checkpoint_every"]
    return record


class _Losses:
    """Sum of the losses over the last tenth of the steps; kept with the run's state.

    A diverged run stays diverged, so looking at the last loss now and then finds it.
    """

    def __init__(self, steps: int) -> None:
        self.first = steps - max(1, steps // 10)
        self.total, self.count = 0.0, 0
        self.last: torch.Tensor | float = 0.0

    def add(self, step: int, loss: torch.Tensor) -> None:
        self.last = loss.detach()
        if step >= self.first:
            self.total, self.count = self.total + self.last.double(), self.count + 1

    def mean(self) -> float:
        return float(self.total) / self.count

    def check(self, step: int) -> None:
        if not math.isfinite(float(self.total) + float(self.last)):
            raise FloatingPointError(
                f"the training loss is not finite by step {step}: lower the learning rate"
            )

    def state_dict(self) -> dict:
        return {"total": float(self.total), "count": self.count}

    def load_state_dict(self, state: dict) -> None:
        self.total, self.count = state["total"], state["count"]


def _to(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        *(
            getattr(batch, name).to(device)
            for name in ("input_ids", "attention_mask", "position_ids", "labels")
        )
    )


def _resume(accelerator: Accelerator, state: Path, fingerprint: str) -> int:
    try:
        mark = json.loads((state / "mark.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        mark = {}
    if mark.get("fingerprint") != fingerprint or not (state / mark["folder"]).is_dir():
        forget(state)
        return 0
    accelerator.load_state(str(state / mark["folder"]))
    return mark["step"]


def _keep(accelerator: Accelerator, state: Path, fingerprint: str, step: int) -> None:
    folder = f"step-{step}"
    shutil.rmtree(state / folder, ignore_errors=True)
    accelerator.save_state(str(state / folder))
    if not accelerator.is_main_process:
        return
    # The mark is renamed into place only when the state it names is whole.
    mark = state / "mark.json.partial"
    mark.write_text(json.dumps({"fingerprint": fingerprint, "folder": folder, "step": step}))
    os.replace(mark, state / "mark.json")
    for old in state.glob("step-*"):
        if old.name != folder:
            shutil.rmtree(old)
