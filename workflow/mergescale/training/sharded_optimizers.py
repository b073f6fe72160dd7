"""Optimizers of parameters that are sharded over processes.

Their state dicts are those of torch's optimizers on whole parameters, so that a run may resume with
another number of processes, sharded or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Shard, distribute_tensor, zeros
from torch.optim import Adafactor, AdamW


class FullStateMixin:
    """Gives an optimizer of DTensors, sharded by their first dimension, full state dicts.

    All processes call `state_dict` and `load_state_dict` together.
    """

    def is_sharded(self, name: str, value: torch.Tensor, parameter: DTensor) -> bool:
        """Whether a full state tensor of a parameter is sharded as the parameter is."""
        return value.shape == parameter.shape

    def state_dict(self) -> dict[str, Any]:
        """The state of the full parameters, on the CPU."""
        packed = super().state_dict()
        states = {}
        for index, parameter in self._parameters_with_state():
            states[index] = {
                name: value.full_tensor().cpu() if isinstance(value, DTensor) else value
                for name, value in self.state[parameter].items()
            }
        return {**packed, "state": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load this process's part of the state of full parameters."""
        super().load_state_dict(state_dict)
        for _, parameter in self._parameters_with_state():
            state = self.state[parameter]
            for name, value in state.items():
                if value.dim() and self.is_sharded(name, value, parameter):
                    state[name] = distribute_tensor(
                        value, parameter.device_mesh, [Shard(0)], src_data_rank=None
                    ).clone()

    def _parameters_with_state(self) -> Iterator[tuple[int, DTensor]]:
        """The parameters that have a state, with their indices in `state_dict`."""
        parameters = (p for group in self.param_groups for p in group["params"])
        return ((index, p) for index, p in enumerate(parameters) if p in self.state)


class ShardedAdamW(FullStateMixin, AdamW):
    """torch's AdamW, which works on DTensors, with full state dicts."""


class ShardedAdafactor(FullStateMixin, Adafactor):
    """Adafactor (Shazeer and Stern, 2018) on DTensors sharded by their first dimension.

    torch's own fails on them (2.13: a norm over a sharded dimension cannot be squared in place).
    The same update is written here on local shards; means over rows and norms of tensors are summed
    over all processes.
    """

    def is_sharded(self, name: str, value: torch.Tensor, parameter: DTensor) -> bool:
        """Whether a state tensor is sharded: all but the second moments of a matrix's columns."""
        return name in ("variance", "row_var")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        """Update all parameters; all processes call this together."""
        if closure is not None:
            raise ValueError("ShardedAdafactor does not support a closure")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: DTensor, options: dict[str, Any]) -> None:
        if parameter.dim() not in (1, 2):
            raise ValueError(
                f"a parameter of shape {tuple(parameter.shape)} cannot be trained sharded: only "
                "vectors and matrices can"
            )
        eps1, eps2 = options["eps"]
        eps1 = torch.finfo(parameter.dtype).eps if eps1 is None else eps1
        local, gradient = parameter.to_local(), parameter.grad.to_local()
        state = self.state[parameter]
        if not state:
            state |= _zero_state(parameter)
        state["step"] += 1
        step = float(state["step"])
        weight = step ** options["beta2_decay"]
        group = parameter.device_mesh.get_group()

        square = local.square().sum()
        if parameter.dim() == 2:
            rows = parameter.shape[0]
            row_var, col_var = state["row_var"].to_local(), state["col_var"]
            row_var.lerp_(gradient.square().mean(dim=-1, keepdim=True), weight)
            sums = torch.cat([square[None], row_var.sum()[None], gradient.square().sum(dim=0)])
            dist.all_reduce(sums, group=group)
            square, row_sum = sums[0], sums[1]
            col_var.lerp_((sums[2:] / rows)[None], weight)
            variance = row_var @ col_var
            variance /= (row_sum / rows).clamp_(min=eps1)
        else:
            dist.all_reduce(square, group=group)
            local_variance = state["variance"].to_local()
            local_variance.lerp_(gradient.square(), weight)
            variance = local_variance.clone()
        update = variance.clamp_(min=eps1 * eps1).rsqrt_().mul_(gradient)
        squared_norm = update.square().sum()
        dist.all_reduce(squared_norm, group=group)

        root = parameter.numel() ** 0.5
        rate = max(eps2, float(square) ** 0.5 / root) * min(options["lr"], 1 / step**0.5)
        clipping = max(1.0, float(squared_norm) ** 0.5 / (root * options["d"]))
        local.mul_(1 - options["lr"] * options["weight_decay"])
        local.add_(update, alpha=-rate / clipping)


def _zero_state(parameter: DTensor) -> dict[str, torch.Tensor]:
    sharded = {"device_mesh": parameter.device_mesh, "placements": [Shard(0)]}
    state = {"step": torch.tensor(0.0)}
    if parameter.dim() == 1:
        return {**state, "variance": zeros(parameter.shape, dtype=parameter.dtype, **sharded)}
    rows, columns = parameter.shape
    return {
        **state,
        "row_var": zeros((rows, 1), dtype=parameter.dtype, **sharded),
        "col_var": parameter.to_local().new_zeros(1, columns),
    }
