"""Use a checkpoint in a local folder as pre-trained base, as it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mergescale import timing
from mergescale.training.compute_plan import TrainingCompute


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    checkpoint: Annotated[Path, "model folder, fetched by fetch-model or not"]
    out: Annotated[Path, "folder of the base model"]
    # The rule has the flags of pre-training, which this stage replaces; nothing is computed here.
    compute: TrainingCompute = TrainingCompute()


def run(args: Arguments) -> None:
    """Adopt the checkpoint."""
    timing.started()
    adopt_checkpoint(args.out, checkpoint=args.checkpoint)


def adopt_checkpoint(out: Path, *, checkpoint: Path) -> None:
    """Write the folder of a base model from a checkpoint.

    Weights that match the architecture keep their dtype and are never read into memory: a file
    that `fetch-model` downloaded is hard-linked, another is copied, and shards are joined. Other
    weights, such as those without a head, are loaded by transformers and saved in fp32.

    Raises:
        ValueError: the folder has no readable safetensors weights or tokenizer.
    """
    from mergescale.checkpoints.adopt import adopt_weights, count_if_compatible
    from mergescale.checkpoints.hub_download import RECORD
    from mergescale.merging.merge_identity import weights_digest
    from mergescale.models.loading import load, load_tokenizer, parameter_count, save
    from mergescale.training.training_run import write_training_record

    tokenizer = load_tokenizer(checkpoint)
    fetched = (checkpoint / RECORD).is_file()
    record = {"stage": "checkpoint", "inputs": {"weights": weights_digest(checkpoint)}}
    if fetched:
        hub = json.loads((checkpoint / RECORD).read_text(encoding="utf-8"))
        record["hub"] = {key: hub[key] for key in ("repo", "commit")}
    parameters = count_if_compatible(checkpoint)
    if parameters is None:
        model, tokenizer = load(checkpoint)
        save(out, model, tokenizer)
        parameters = parameter_count(model)
    else:
        if not (checkpoint / "tokenizer.json").is_file():
            tokenizer.save_pretrained(out)
        adopt_weights(checkpoint, out, link=fetched)
    write_training_record(out, record, parameters, loss=None)
