"""Make a model from scratch and pre-train it on a corpus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mergescale import timing
from mergescale.argument_types import Positive
from mergescale.training.compute_plan import TrainingCompute
from mergescale.training.config import TrainConfig

RESUMABLE = True
_SHAPE = ("heads", "hidden_size", "intermediate_size", "layers")


@dataclass(frozen=True)
class PretrainConfig(TrainConfig):
    """`TrainConfig` with the objective of pre-training."""

    objective: Annotated[str, "loss: a file of training/objectives/"] = "language_modeling"


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    tokenizer: Annotated[Path, "folder of the tokenizer"]
    corpus: Annotated[Path, "corpus.parquet: the documents"]
    architecture: Annotated[dict, "hidden_size, layers, heads and intermediate_size"]
    length: Annotated[Positive, "tokens in a training row"]
    max_length: Annotated[Positive, "most tokens in a row that the model can read"]
    out: Annotated[Path, "folder of the model"]
    checkpoint_dir: Annotated[Path, "folder from which an interrupted run resumes"]
    training: PretrainConfig
    compute: TrainingCompute = TrainingCompute()
    label: Annotated[str, "what the progress line calls the run"] = "training"

    def __post_init__(self) -> None:
        if sorted(self.architecture) != list(_SHAPE):
            raise ValueError(
                f"--architecture must have {', '.join(_SHAPE)}, not "
                f"{', '.join(sorted(self.architecture)) or 'nothing'}"
            )


def run(args: Arguments) -> None:
    """Pre-train the model, in several processes if requested."""
    from mergescale.training.launch import launch_if_distributed

    launch_if_distributed(args.compute)
    from mergescale.models.device import prepare_torch
    from mergescale.models.from_scratch import initialize
    from mergescale.models.loading import load_tokenizer
    from mergescale.models.tokenizers import Encoder
    from mergescale.provenance.digests import file_digest
    from mergescale.tasks.example_files import read_documents
    from mergescale.training.batches import document_stream
    from mergescale.training.compute_plan import ComputePlan
    from mergescale.training.distributed import local_world_size
    from mergescale.training.registry import get_objective
    from mergescale.training.training_run import train_and_save

    config, compute = args.training, args.compute
    device = prepare_torch(compute.threads, compute.device, local_world_size())
    timing.started()
    tokenizer = load_tokenizer(args.tokenizer)
    model = initialize(tokenizer, max_length=args.max_length, seed=config.seed, **args.architecture)
    record = {
        "stage": "pretrain",
        "architecture": args.architecture,
        "length": args.length,
        "inputs": {
            "corpus": file_digest(args.corpus),
            "tokenizer": file_digest(args.tokenizer / "tokenizer.json"),
        },
    }
    batches = document_stream(
        Encoder(tokenizer, args.max_length),
        read_documents(args.corpus),
        label_tokens=get_objective(config.objective).label_tokens,
        length=args.length,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    train_and_save(
        args.out,
        model,
        tokenizer,
        batches,
        config,
        record=record,
        checkpoint_dir=args.checkpoint_dir,
        label=args.label,
        plan=ComputePlan(device, compute.precision, compute.sharding),
    )
