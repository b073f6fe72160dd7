"""Trains a model and writes its folder, with `training.json`: how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from mergescale.merging.merge_identity import weights_digest
from mergescale.models.loading import load, load_on_meta, load_tokenizer, parameter_count, save
from mergescale.provenance.atomic import write_json
from mergescale.provenance.digests import code_digest, record_digest
from mergescale.provenance.versions import versions
from mergescale.timing import timed
from mergescale.training.batches import BatchStream
from mergescale.training.compute_plan import ComputePlan
from mergescale.training.config import TrainConfig
from mergescale.training.distributed import is_main
from mergescale.training.trainer import train
from mergescale.training.training_checkpoint import delete_checkpoint


def load_base(folder: Path, plan: ComputePlan) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the model to fine-tune, and its tokenizer.

    Where the model will be sharded, the main process alone reads the weights; the others get a
    model on device `meta`.
    """
    if not is_main():
        model = load_on_meta(folder)
        if plan.shards(parameter_count(model)):
            return model, load_tokenizer(folder)
    return load(folder)


def train_and_save(
    out: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batches: BatchStream,
    config: TrainConfig,
    *,
    record: Mapping[str, Any],
    checkpoint_dir: Path,
    label: str,
    plan: ComputePlan,
) -> None:
    """Train a model, or resume its training, and write its folder; all processes call this.

    Args:
        out: the model folder; the main process writes it.
        record: what the result depends on besides `config`: stage, digests of the inputs.
        checkpoint_dir: of the run's checkpoints; deleted when the model is saved.
        label: what the progress line calls the run.
    """
    record = {**record, "settings": config.record()}
    parameters = parameter_count(model)
    if plan.uses_bf16(parameters):
        record["precision"] = "bf16"
    fingerprint = record_digest(
        {
            **record,
            "code": code_digest("training"),
            "versions": versions(),
            "device": plan.device,
        }
    )
    with timed("training"):
        loss = train(
            model,
            batches,
            config,
            checkpoint_dir=checkpoint_dir,
            fingerprint=fingerprint,
            label=label,
            plan=plan,
        )
    if loss is not None and plan.shards(parameters):
        from mergescale.training.sharding import gather_full_model

        model = gather_full_model(model)
    if not is_main():
        return
    save(out, model, tokenizer)
    write_training_record(out, record, parameters, loss)
    delete_checkpoint(checkpoint_dir)


def write_training_record(
    folder: Path, record: Mapping[str, Any], parameters: int, loss: float | None
) -> None:
    """Write `training.json`: how the model was made, and the digest of its weights.

    Args:
        folder: of the saved model.
        record: stage, settings and digests of the inputs.
        parameters: of the model, tied ones counted once.
        loss: mean over the last tenth of the steps; None for a model that was not trained.
    """
    write_json(
        folder / "training.json",
        {
            **record,
            "code": code_digest("training"),
            "versions": versions(),
            "parameters": parameters,
            "final_loss": None if loss is None else round(loss, 6),
            "weights": weights_digest(folder),
        },
    )
