"""Arguments that several stages share, as dataclasses to nest in a stage's own `Arguments`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from mergescale.argument_types import Category, Positive


@dataclass(frozen=True)
class CategoryArguments:
    """Categories with their tasks."""

    held_in: Annotated[list[Category], "held-in categories and their tasks"] = field(
        default_factory=list
    )
    held_out: Annotated[list[Category], "held-out categories and their tasks"] = field(
        default_factory=list
    )


@dataclass(frozen=True)
class ComputeArguments:
    """What a stage computes on."""

    threads: Annotated[Positive, "CPU threads; processes that train on one node share them"] = 1
    device: Annotated[
        Literal["auto", "cpu", "cuda"], "device to compute on; auto takes a GPU if there is one"
    ] = "auto"


def prepare_torch(threads: int, device: str) -> str:
    """Set torch's number of threads and determinism; return the device to use.

    Processes that train together on a node share its threads.

    Args:
        threads: CPU threads of this node's processes together.
        device: `auto`, `cpu` or `cuda`.

    Returns:
        `cpu` or `cuda`.

    Raises:
        ValueError: `cuda` is requested and torch sees no GPU, or fewer than there are processes.
    """
    import torch

    from mergescale.training.distributed import on_this_node

    torch.set_num_threads(max(1, threads // on_this_node()))
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device is cuda, but torch sees no GPU here; use auto or cpu")
    if device == "cpu" or not torch.cuda.is_available():
        return "cpu"
    if (number := on_this_node()) > torch.cuda.device_count():
        raise ValueError(
            f"{number} processes are to train here, one per GPU, but torch sees only "
            f"{torch.cuda.device_count()} GPUs; request as many as the node has"
        )
    # The same configuration must give the same bytes. On a CPU with a fixed number of threads torch
    # is deterministic without this setting, and faster.
    torch.use_deterministic_algorithms(True, warn_only=True)
    return "cuda"
