"""Weights sharded over processes, for models that one GPU does not hold (torch's FSDP2).

accelerate shards with the same `fully_shard`, but on GPUs only; called directly, it is also tested
on CPUs. Every layer is a unit: its full weights are on a GPU only while it computes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from accelerate import init_empty_weights
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from transformers.modeling_utils import PreTrainedModel


def shard(model: PreTrainedModel, device: torch.device, *, bf16: bool) -> PreTrainedModel:
    """Shard a model in place over all processes, which call this together.

    The weights are the main process's; in the others they may be on torch's device `meta`. They are
    moved to `device` and sharded layer by layer, so that no device ever holds the whole model.

    Args:
        model: fp32 weights.
        device: of this process.
        bf16: compute in bf16; weights, gradients and losses stay fp32.

    Returns:
        The same model, its parameters DTensors.
    """
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    policy = MixedPrecisionPolicy()
    outer = policy
    if bf16:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        outer = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16, reduce_dtype=torch.float32, output_dtype=torch.float32
        )
    names = set(getattr(model, "_no_split_modules", None) or ())
    for layer in [module for module in model.modules() if type(module).__name__ in names]:
        _broadcast_weights(layer, device)
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    _broadcast_weights(model, device)
    return fully_shard(model, mesh=mesh, mp_policy=outer)


def _broadcast_weights(module: nn.Module, device: torch.device) -> None:
    """Copy the main process's weights to all devices, but for those that are sharded already.

    No reference to them stays here, so that they are freed as soon as they are sharded.
    """
    # By id, for tied weights. The old one is kept as well, so that no other parameter gets its id.
    moved: dict[int, tuple[nn.Parameter, nn.Parameter]] = {}
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if isinstance(parameter, DTensor):
                continue
            if id(parameter) not in moved:
                weights = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
                if dist.get_rank() == 0:
                    weights.copy_(parameter.detach())
                dist.broadcast(weights, 0)
                new = nn.Parameter(weights, requires_grad=parameter.requires_grad)
                # Tied weights stay tied, and the new one counts as moved.
                moved[id(parameter)] = moved[id(new)] = parameter, new
            setattr(part, name, moved[id(parameter)][1])
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, buffer.to(device))


def gather_full_model(model: PreTrainedModel) -> PreTrainedModel | None:
    """Gather a sharded model on the CPU of the main process; all processes call this together.

    Returns:
        An unsharded model in evaluation mode; None in the other processes.
    """
    weights = FullStateDict(model).state_dict()
    if dist.get_rank():
        return None
    unsharded = next(kind for kind in type(model).__mro__ if not issubclass(kind, FSDPModule))
    with init_empty_weights(include_buffers=False):
        full = unsharded(model.config)
    full.load_state_dict(weights, assign=True)
    full.tie_weights()
    full.generation_config = model.generation_config
    return full.eval()


class FullStateDict:
    """Gives a sharded model the state dict of the full one; all processes call it together."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def state_dict(self) -> dict[str, Any]:
        """The full weights on the CPU in the main process, an empty dict in the others."""
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        return get_model_state_dict(self.model, options=options)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load this process's part of full weights."""
        options = StateDictOptions(full_state_dict=True)
        set_model_state_dict(self.model, dict(state_dict), options=options)
