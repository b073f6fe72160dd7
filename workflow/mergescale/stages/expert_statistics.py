"""Write a statistics file of a model: its diagonal Fisher information on a task's examples.

A statistics file is a safetensors file with the names and shapes of the model's floating-point
tensors. Methods require it by its kind, as `fisher` does.

The Fisher information is the empirical one: the mean over examples of the squared gradient of the
log-likelihood of the gold answer, for each example by itself. (The Fisher information proper takes
the expectation over the model's own answers; Matena and Raffel, 2022, arXiv 2111.09832, section
3.1, use it for classifiers. On fine-tuned experts, whose answers are mostly the gold ones, both are
close.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mergescale import timing
from mergescale.argument_types import Positive
from mergescale.stages.shared_arguments import ComputeArguments

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from mergescale.training.batches import Batch


@dataclass(frozen=True)
class Arguments:
    """Arguments of the stage."""

    model: Annotated[Path, "folder of the model, such as an expert"]
    data: Annotated[list[Path], "parquet files of the examples, such as a task's train.parquet"]
    out: Annotated[Path, "the statistics file, such as fisher.safetensors"]
    max_length: Annotated[
        Positive, "most tokens of prompt and answer; prompts are truncated to fit"
    ]
    kind: Annotated[Literal["fisher"], "which statistics"] = "fisher"
    rows: Annotated[Positive, "most rows of each file, chosen by a hash of the row"] = 256
    compute: ComputeArguments = ComputeArguments()
    label: Annotated[str, "what the progress line calls the run"] = "statistics"


def run(args: Arguments) -> None:
    """Compute the statistics and write the file."""
    from safetensors.torch import save_file

    from mergescale.merging.merge_identity import weights_digest
    from mergescale.models.device import prepare_torch
    from mergescale.models.loading import load
    from mergescale.models.tokenizers import Encoder
    from mergescale.progress import Progress
    from mergescale.provenance.atomic import replacing
    from mergescale.provenance.digests import file_digest
    from mergescale.tasks.example_files import read_examples, subset
    from mergescale.training.batches import example_stream
    from mergescale.training.objectives.answer_loss import label_tokens

    device = prepare_torch(args.compute.threads, args.compute.device)
    timing.started()
    model, tokenizer = load(args.model)
    if model.config.is_encoder_decoder:
        raise ValueError(
            f"{args.model} is an encoder-decoder model; Fisher information is computed for causal "
            "models"
        )
    examples = [e for path in args.data for e in subset(read_examples(path), args.rows)]
    batches = example_stream(
        Encoder(tokenizer, args.max_length),
        examples,
        label_tokens=label_tokens,
        batch_size=1,
        seed=0,
    )
    each_alone = (batches.collate([index]).to(device) for index in range(len(examples)))
    with Progress(len(examples), args.label) as progress:
        fisher = diagonal_fisher(model.to(device), each_alone, on_progress=progress.update)
    record = {
        "kind": args.kind,
        "estimator": "empirical Fisher information: gold answers, gradients of single examples",
        "examples": len(examples),
        "max_length": args.max_length,
        "model": weights_digest(args.model),
        "data": [file_digest(path) for path in args.data],
    }
    # One entry: safetensors writes several in any order.
    metadata = {"mergescale": json.dumps(record, sort_keys=True)}
    with replacing(args.out) as temporary:
        save_file(match_weights(fisher, model, args.model), temporary, metadata=metadata)


def diagonal_fisher(
    model: PreTrainedModel,
    batches: Iterable[Batch],
    on_progress: Callable[[int], object] = lambda done: None,
) -> dict[str, torch.Tensor]:
    """Compute the empirical diagonal Fisher information of a model's parameters.

    Args:
        model: A causal model in evaluation mode.
        batches: One example each. A gradient of several examples has cross terms, so that its
            square is not their Fisher information.
        on_progress: Called with the number of examples so far.

    Returns:
        {parameter: fp32 Tensor of its shape, on the CPU}, the mean over examples; tied parameters
        once.

    Raises:
        ValueError: There is no example, or a batch has several.
    """
    import torch

    from mergescale.training.losses import compute_logits, summed_cross_entropy

    parameters = dict(model.named_parameters())
    sums = {name: torch.zeros_like(p, dtype=torch.float32) for name, p in parameters.items()}
    done = 0
    for done, batch in enumerate(batches, 1):
        if len(batch.input_ids) != 1:
            raise ValueError(f"a batch must have 1 example, not {len(batch.input_ids)}")
        log_likelihood = -summed_cross_entropy(compute_logits(model, batch), batch.labels)
        gradients = torch.autograd.grad(
            log_likelihood, list(parameters.values()), allow_unused=True
        )
        for total, gradient in zip(sums.values(), gradients, strict=True):
            if gradient is not None:
                total.addcmul_(gradient, gradient)
        on_progress(done)
    if not done:
        raise ValueError("Fisher information needs at least one example")
    return {name: (total / done).cpu() for name, total in sums.items()}


def match_weights(
    values: dict[str, torch.Tensor], model: PreTrainedModel, folder: Path
) -> dict[str, torch.Tensor]:
    """Return one tensor for each floating-point tensor of a folder's weights.

    Args:
        values: {parameter: Tensor}; tied parameters once.
        model: The model, which knows what is tied to what.
        folder: The folder, whose files decide the names.

    Returns:
        {tensor: Tensor}; zeros for tensors that are not parameters, which no gradient reaches.
    """
    import torch

    from mergescale.checkpoints.folder import read_weights

    by_identity = {id(p): values[name] for name, p in model.named_parameters()}
    every_name = dict(model.named_parameters(remove_duplicate=False))
    return {
        name: (
            by_identity[id(every_name[name])].clone()
            if name in every_name
            else torch.zeros_like(weight, dtype=torch.float32)
        )
        for name, weight in read_weights(folder).items()
        if weight.is_floating_point()
    }
