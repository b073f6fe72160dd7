"""How a model of a given size is trained on what there is: precision, sharding, recomputation."""

from __future__ import annotations

from dataclasses import dataclass

from mergescale.training.distributed import world

# Assumption: below this number of parameters CPUs are fast enough, and available sooner than a GPU.
GPU_FROM = 50e6


@dataclass(frozen=True)
class Placement:
    """Where and how a model is trained; `auto` decides by its number of parameters.

    From `GPU_FROM` parameters on a GPU a model is large: it computes in bf16 (weights, gradients
    and optimizer stay fp32), recomputes activations, and is sharded over several GPUs.

    Attributes:
        device: `cpu` or `cuda`.
        precision: `auto`, `fp32` or `bf16`.
        sharding: `auto` or `always`, where there are several processes.
    """

    device: str = "cpu"
    precision: str = "auto"
    sharding: str = "auto"

    def bf16(self, parameters: int) -> bool:
        """Whether matrices are multiplied in bf16."""
        return self.precision == "bf16" or (self.precision == "auto" and self._large(parameters))

    def shards(self, parameters: int) -> bool:
        """Whether each process holds a part of the weights only."""
        wanted = self.sharding == "always" or (self.sharding == "auto" and self._large(parameters))
        return wanted and world() > 1

    def recomputes(self, parameters: int) -> bool:
        """Whether activations are computed again in the backward pass rather than kept."""
        return self._large(parameters) or self.shards(parameters)

    def _large(self, parameters: int) -> bool:
        return self.device != "cpu" and parameters >= GPU_FROM
