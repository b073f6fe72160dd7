"""How a training run uses the hardware: processes, device, precision and sharding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mergescale.argument_types import Count, Positive
from mergescale.training.distributed import world_size

# Assumption: below this number of parameters CPUs are fast enough, and available sooner than a GPU.
GPU_FROM = 50e6


@dataclass(frozen=True)
class TrainingCompute:
    """The hardware that a training stage may use; it never changes what a model learns.

    Attributes:
        threads: CPU threads of all processes on a node.
        device: `auto`, `cpu` or `cuda`.
        processes: processes on CPUs, on all nodes together.
        gpus: GPUs on all nodes together, each with a process of its own; 0 takes one if there is
            one.
        nodes: nodes of the SLURM job.
        precision: `auto`, `fp32` or `bf16`.
        sharding: `auto` or `always`.
    """

    threads: Annotated[
        Positive, "CPU threads; processes that train together on a node share them"
    ] = 1
    device: Annotated[
        Literal["auto", "cpu", "cuda"], "where to compute; auto is a GPU where there is one"
    ] = "auto"
    processes: Annotated[Positive, "processes on CPUs, on all nodes together"] = 1
    gpus: Annotated[
        Count, "GPUs on all nodes together, with a process for each; 0 is one, where there is one"
    ] = 0
    nodes: Annotated[Positive, "nodes of the SLURM job"] = 1
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        "of matrix products; auto is bf16 for large models on GPUs",
    ] = "auto"
    sharding: Annotated[
        Literal["auto", "always"],
        "whether each of several processes holds only a part of the weights; auto is for large "
        "models on GPUs",
    ] = "auto"

    def __post_init__(self) -> None:
        for name, minimum in {"threads": 1, "processes": 1, "gpus": 0, "nodes": 1}.items():
            if (value := getattr(self, name)) < minimum:
                raise ValueError(f"--{name} must be at least {minimum}, not {value}")


@dataclass(frozen=True)
class ComputePlan:
    """Where and how one process computes; `auto` is decided by the model's number of parameters.

    From `GPU_FROM` parameters on, a model on a GPU counts as large: it computes in bf16 (weights,
    gradients and optimizer states stay fp32), recomputes activations, and is sharded over GPUs.

    Attributes:
        device: `cpu` or `cuda`.
        precision: `auto`, `fp32` or `bf16`.
        sharding: `auto` or `always`; a single process is never sharded.
    """

    device: str = "cpu"
    precision: str = "auto"
    sharding: str = "auto"

    def uses_bf16(self, parameters: int) -> bool:
        """Whether a model of so many parameters multiplies matrices in bf16."""
        return self.precision == "bf16" or (self.precision == "auto" and self._is_large(parameters))

    def shards(self, parameters: int) -> bool:
        """Whether each process holds only a part of the weights."""
        large = self.sharding == "auto" and self._is_large(parameters)
        return (self.sharding == "always" or large) and world_size() > 1

    def recomputes_activations(self, parameters: int) -> bool:
        """Whether the backward pass computes activations again, to save memory."""
        return self._is_large(parameters) or self.shards(parameters)

    def _is_large(self, parameters: int) -> bool:
        return self.device != "cpu" and parameters >= GPU_FROM
