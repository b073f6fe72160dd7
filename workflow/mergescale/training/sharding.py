"""Weights sharded over processes, for models that one GPU does not hold (FSDP2 of torch).

accelerate shards with the same `fully_shard`, but on GPUs only; called here, it is also tested on
CPUs. Every layer is a unit: its whole weights are on a GPU only while it computes.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from accelerate import init_empty_weights
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.modeling_utils import PreTrainedModel


def shard(model: PreTrainedModel, device: torch.device, *, bf16: bool) -> PreTrainedModel:
    """Shard a model in place over all processes, which call this together.

    The weights are the main process's; in the others they may be on torch's device `meta`. Layer
    by layer they go to `device` and are cut, so that no process holds the model there.

    Args:
        bf16: compute in bf16; weights, gradients and losses are fp32 all the same.
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
        _move(layer, device)
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    _move(model, device)
    return fully_shard(model, mesh=mesh, mp_policy=outer)


def _move(module: nn.Module, device: torch.device) -> None:
    """The main process's weights in every process, but for those that are sharded already.

    Nothing is held of them afterwards, so that they are freed as soon as they are cut.
    """
    # By id, for tied weights; with the old one, lest another parameter gets its id.
    moved: dict[int, tuple[nn.Parameter, nn.Parameter]] = {}
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if isinstance(parameter, DTensor):
                continue
            if id(parameter) not in moved:
                ours = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
                if dist.get_rank() == 0:
                    ours.copy_(parameter.detach())
                dist.broadcast(ours, 0)
                new = nn.Parameter(ours, requires_grad=parameter.requires_grad)
                # Tied weights stay tied, and the new one counts as moved.
                moved[id(parameter)] = moved[id(new)] = parameter, new
            setattr(part, name, moved[id(parameter)][1])
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, buffer.to(device))


def whole(model: PreTrainedModel) -> PreTrainedModel | None:
    """A sharded model as it was, on the CPU, in the main process; None in the others.

    All processes call this together.
    """
    weights = Whole(model).state_dict()
    if dist.get_rank():
        return None
    plain = next(kind for kind in type(model).__mro__ if not issubclass(kind, FSDPModule))
    with init_empty_weights(include_buffers=False):
        made = plain(model.config)
    made.load_state_dict(weights, assign=True)
    made.tie_weights()
    made.generation_config = model.generation_config
    return made.eval()


class Whole:
    """The weights of a sharded model as those of the whole one, for its state.

    All processes call both methods together; the main process alone gets the whole weights.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Whole weights on the CPU; empty but in the main process."""
        main, found, known = dist.get_rank() == 0, {}, {}
        # Tied weights are one parameter under two names.
        parameters = dict(self.model.named_parameters(remove_duplicate=False))
        for name, value in self.model.state_dict().items():
            if isinstance(value, DTensor):
                key = id(parameters[name])
                if key not in known:
                    full = value.full_tensor()
                    known[key] = full.cpu() if main else None
                value = known[key]
            if main:
                found[name] = value
        return found

    def load_state_dict(self, weights: dict[str, torch.Tensor]) -> None:
        """Take this process's part of whole weights."""
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if isinstance(value, DTensor):
                    part = distribute_tensor(
                        weights[name].to(value.device),
                        value.device_mesh,
                        value.placements,
                        src_data_rank=None,
                    )
                    value.to_local().copy_(part.to_local())
