"""Fine-tune all weights of a base: instruction tuning, an expert or a multitask model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from mergescale import timing
from mergescale.argument_types import Positive
from mergescale.training.compute_plan import TrainingCompute
from mergescale.training.config import TrainConfig

RESUMABLE = True


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    base: Annotated[Path, "folder of the model that is fine-tuned"]
    data: Annotated[list[Path], "parquet files of examples, which are mixed"]
    stage: Annotated[Literal["instruct", "expert", "multitask"], "kind of model, for its record"]
    max_length: Annotated[
        Positive, "most tokens of prompt and answer; prompts are truncated to fit"
    ]
    out: Annotated[Path, "folder of the model"]
    checkpoint_dir: Annotated[Path, "folder from which an interrupted run resumes"]
    training: TrainConfig
    compute: TrainingCompute = TrainingCompute()
    label: Annotated[str, "what the progress line calls the run"] = "training"


def run(args: Arguments) -> None:
    """Fine-tune the base, in several processes if requested."""
    from mergescale.training.launch import launch_if_distributed

    launch_if_distributed(args.compute)
    from mergescale.merging.merge_identity import weights_digest
    from mergescale.models.device import prepare_torch
    from mergescale.models.tokenizers import Encoder
    from mergescale.provenance.digests import file_digest
    from mergescale.tasks.example_files import read_examples
    from mergescale.training.batches import example_stream
    from mergescale.training.compute_plan import ComputePlan
    from mergescale.training.distributed import local_world_size
    from mergescale.training.registry import get_objective
    from mergescale.training.training_run import load_base, train_and_save

    config, compute = args.training, args.compute
    device = prepare_torch(compute.threads, compute.device, local_world_size())
    timing.started()
    plan = ComputePlan(device, compute.precision, compute.sharding)
    model, tokenizer = load_base(args.base, plan)
    record = {
        "stage": args.stage,
        "max_length": args.max_length,
        "inputs": {
            "base": weights_digest(args.base),
            "data": [file_digest(path) for path in args.data],
        },
    }
    batches = example_stream(
        Encoder(tokenizer, args.max_length),
        [example for path in args.data for example in read_examples(path)],
        label_tokens=get_objective(config.objective).label_tokens,
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
        plan=plan,
    )
