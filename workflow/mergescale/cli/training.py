"""Stages that make models: tokenizer, pre-training, instruction tuning, experts, multitask."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mergescale import timing
from mergescale.cli.arguments import add_compute, count, json_object, positive, prepare_torch


def add_stages(stages: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    tokenizer = stages.add_parser(
        "tokenizer", parents=[common], help="train the micro world's tokenizer"
    )
    tokenizer.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    tokenizer.set_defaults(run=_tokenizer)

    adopt = stages.add_parser(
        "adopt", parents=[common], help="use a local checkpoint as pre-trained base"
    )
    adopt.add_argument("--checkpoint", type=Path, required=True, metavar="FOLDER")
    adopt.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    # As where a base is trained; adopting takes no notice.
    _add_place(adopt)
    adopt.set_defaults(run=_adopt)

    fetch = stages.add_parser(
        "fetch-model",
        parents=[common],
        help="fetch a model's safetensors weights and tokenizer from the Hugging Face hub",
    )
    fetch.add_argument("--repo", required=True, metavar="OWNER/NAME")
    fetch.add_argument("--revision", required=True, help="full hash of a commit")
    fetch.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    fetch.set_defaults(run=_fetch)

    pretrain = stages.add_parser(
        "pretrain", parents=[common], help="make a model from scratch and train it on a corpus"
    )
    pretrain.add_argument("--tokenizer", type=Path, required=True, metavar="FOLDER")
    pretrain.add_argument("--corpus", type=Path, required=True, metavar="PARQUET")
    pretrain.add_argument("--architecture", type=json_object, required=True, metavar="JSON")
    pretrain.add_argument("--length", type=positive, required=True, help="tokens in a training row")
    _add_training(pretrain)
    pretrain.set_defaults(run=_pretrain, goes_on=True, trains=True)

    finetune = stages.add_parser(
        "finetune",
        parents=[common],
        help="train all weights of a base on task files: instruction tuning, experts, multitask",
    )
    finetune.add_argument("--base", type=Path, required=True, metavar="FOLDER")
    finetune.add_argument("--data", type=Path, nargs="+", required=True, metavar="PARQUET")
    finetune.add_argument("--stage", required=True, choices=["instruct", "expert", "multitask"])
    _add_training(finetune)
    finetune.set_defaults(run=_finetune, goes_on=True, trains=True)


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--state", type=Path, required=True, metavar="FOLDER", help="where a stopped run goes on"
    )
    parser.add_argument("--label", default="training", help="what the progress line calls it")
    parser.add_argument("--max-length", type=positive, required=True, help="most tokens in a row")
    parser.add_argument("--steps", type=count, required=True)
    parser.add_argument("--batch-size", type=positive, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--warmup", type=count, default=0, help="steps")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--checkpoint-every", type=count, default=500, help="steps; 0 for never")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--micro-batch",
        type=count,
        default=0,
        metavar="ROWS",
        help="rows that a process works on at a time; 0 for all of its share of a step (default)",
    )
    parser.add_argument(
        "--precision",
        default="auto",
        choices=["auto", "fp32", "bf16"],
        help="of matrix products; auto is bf16 for large models on GPUs (default)",
    )
    _add_place(parser)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--processes", type=positive, default=1, help="processes on CPUs, in all (default: 1)"
    )
    parser.add_argument(
        "--gpus", type=count, default=0, help="GPUs in all, with a process for each (default: one)"
    )
    parser.add_argument(
        "--nodes", type=positive, default=1, help="nodes of the SLURM job (default: 1)"
    )
    parser.add_argument(
        "--sharding",
        default="auto",
        choices=["auto", "always"],
        help="whether each of several processes holds a part of the weights only; auto is for "
        "large models on GPUs (default)",
    )
    add_compute(parser)


def processes_of(chosen: argparse.Namespace) -> int:
    """How many processes are to be started for a stage; 0 where it runs in this one."""
    if not hasattr(chosen, "trains"):
        return 0
    from mergescale.training.launch import wanted

    number = wanted(
        processes=chosen.processes, gpus=chosen.gpus, nodes=chosen.nodes, device=chosen.device
    )
    return number if number > 1 else 0


def run_in_processes(arguments: Sequence[str], chosen: argparse.Namespace, processes: int) -> int:
    """Run a training stage in several processes; return the exit status."""
    from mergescale.training.launch import launch

    return launch(
        arguments,
        processes=processes,
        gpus=chosen.gpus,
        nodes=chosen.nodes,
        threads=chosen.threads,
    )


def _tokenizer(chosen: argparse.Namespace) -> None:
    from mergescale.stages.bases import make_tokenizer

    timing.started()
    make_tokenizer(chosen.out)


def _adopt(chosen: argparse.Namespace) -> None:
    from mergescale.stages.bases import adopt_checkpoint

    timing.started()
    adopt_checkpoint(chosen.out, checkpoint=chosen.checkpoint)


def _fetch(chosen: argparse.Namespace) -> None:
    from mergescale.checkpoints.hub_download import fetch

    timing.started()
    fetch(chosen.out, repo=chosen.repo, revision=chosen.revision)


def _pretrain(chosen: argparse.Namespace) -> None:
    from mergescale.stages.bases import pretrain
    from mergescale.training.distributed import on_this_node

    device = prepare_torch(chosen.threads, chosen.device, on_this_node())
    timing.started()
    pretrain(
        chosen.out,
        tokenizer=chosen.tokenizer,
        corpus=chosen.corpus,
        architecture=chosen.architecture,
        length=chosen.length,
        max_length=chosen.max_length,
        settings=_settings(chosen),
        state=chosen.state,
        label=chosen.label,
        place=_place(chosen, device),
    )


def _finetune(chosen: argparse.Namespace) -> None:
    from mergescale.stages.bases import finetune
    from mergescale.training.distributed import on_this_node

    device = prepare_torch(chosen.threads, chosen.device, on_this_node())
    timing.started()
    finetune(
        chosen.out,
        base=chosen.base,
        data=chosen.data,
        stage=chosen.stage,
        max_length=chosen.max_length,
        settings=_settings(chosen),
        state=chosen.state,
        label=chosen.label,
        place=_place(chosen, device),
    )


def _place(chosen: argparse.Namespace, device: str):
    from mergescale.training.compute_plan import Placement

    return Placement(device=device, precision=chosen.precision, sharding=chosen.sharding)


def _settings(chosen: argparse.Namespace):
    from mergescale.training.trainer import TrainConfig

    return TrainConfig(
        steps=chosen.steps,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        warmup=chosen.warmup,
        dropout=chosen.dropout,
        weight_decay=chosen.weight_decay,
        seed=chosen.seed,
        checkpoint_every=chosen.checkpoint_every,
        micro_batch=chosen.micro_batch,
    )
