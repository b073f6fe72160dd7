"""Adafactor on parameters that are sharded over processes.

torch's own fails on them (2.13: a norm over a sharded dimension cannot be squared in place), so the
same update is written here on the local shards, with the means over rows and the norms of whole
tensors summed over all processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.optim import Adafactor

# Its tensors of the state that are sharded as the parameter is, by the parameter's dimensions.
_SHARDED = {1: ("variance",), 2: ("row_var",)}


class ShardedAdafactor(Adafactor):
    """Adafactor (Shazeer & Stern 2018, as in torch) on DTensors sharded by their first dimension.

    `state_dict` and `load_state_dict` are those of torch's Adafactor on the whole parameters, to be
    called by all processes together.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        """Update all parameters; all processes call it together."""
        if closure is not None:
            raise ValueError("ShardedAdafactor takes no closure")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: DTensor, group: dict[str, Any]) -> None:
        if parameter.dim() not in _SHARDED:
            raise ValueError(
                f"a parameter of shape {tuple(parameter.shape)} cannot be trained sharded: only "
                "vectors and matrices can"
            )
        eps1, eps2 = group["eps"]
        eps1 = torch.finfo(parameter.dtype).eps if eps1 is None else eps1
        ours, gradient = parameter.to_local(), parameter.grad.to_local()
        state = self.state[parameter]
        if not state:
            state |= self._nothing(parameter, ours)
        state["step"] += 1
        step = float(state["step"])
        weight = step ** group["beta2_decay"]
        everybody = parameter.device_mesh.get_group()

        square = ours.square().sum()
        if parameter.dim() == 2:
            rows, columns = parameter.shape
            state["row_var"].lerp_(gradient.square().mean(dim=-1, keepdim=True), weight)
            sums = torch.cat(
                [square[None], state["row_var"].sum()[None], gradient.square().sum(dim=0)]
            )
            dist.all_reduce(sums, group=everybody)
            square, row_sum = sums[0], sums[1]
            state["col_var"].lerp_((sums[2:] / rows)[None], weight)
            variance = state["row_var"] @ state["col_var"]
            variance /= (row_sum / rows).clamp_(min=eps1)
        else:
            dist.all_reduce(square, group=everybody)
            state["variance"].lerp_(gradient.square(), weight)
            variance = state["variance"].clone()
        update = variance.clamp_(min=eps1 * eps1).rsqrt_().mul_(gradient)
        length = update.square().sum()
        dist.all_reduce(length, group=everybody)

        root = parameter.numel() ** 0.5
        rate = max(eps2, float(square) ** 0.5 / root) * min(group["lr"], 1 / step**0.5)
        ours.mul_(1 - group["lr"] * group["weight_decay"])
        ours.add_(update, alpha=-rate / max(1.0, float(length) ** 0.5 / (root * group["d"])))

    def _nothing(self, parameter: DTensor, ours: torch.Tensor) -> dict[str, torch.Tensor]:
        state = {"step": torch.tensor(0.0)}
        if parameter.dim() == 1:
            return {**state, "variance": torch.zeros_like(ours)}
        return {
            **state,
            "row_var": ours.new_zeros(len(ours), 1),
            "col_var": ours.new_zeros(1, parameter.shape[1]),
        }

    def state_dict(self) -> dict[str, Any]:
        """The state of the whole parameters, on the CPU."""
        packed = super().state_dict()
        states = {}
        for number, parameter in self._numbered():
            states[number] = {
                name: _whole(value, parameter).cpu() if name in _SHARDED[parameter.dim()] else value
                for name, value in self.state[parameter].items()
            }
        return {**packed, "state": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the process's part of the state of whole parameters."""
        super().load_state_dict(state_dict)
        for _, parameter in self._numbered():
            for name in _SHARDED[parameter.dim()]:
                whole = self.state[parameter][name]
                ours = distribute_tensor(
                    whole, parameter.device_mesh, [Shard(0)], src_data_rank=None
                )
                self.state[parameter][name] = ours.to_local().clone()

    def _numbered(self) -> list[tuple[int, DTensor]]:
        """The parameters that have a state, with their numbers in `state_dict`."""
        every = [p for group in self.param_groups for p in group["params"]]
        return [(number, p) for number, p in enumerate(every) if p in self.state]


def _whole(ours: torch.Tensor, parameter: DTensor) -> torch.Tensor:
    shape = torch.Size([parameter.shape[0], *ours.shape[1:]])
    stride = torch.empty(shape, device="meta").stride()
    return DTensor.from_local(
        ours, parameter.device_mesh, [Shard(0)], shape=shape, stride=stride
    ).full_tensor()
