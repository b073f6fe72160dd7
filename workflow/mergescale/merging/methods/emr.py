"""EMR-Merging: elect, mask and rescale (Huang et al., 2024, arXiv 2405.17461, section 3.2).

For every entry the sign of the sum is elected, and the largest magnitude among the experts that
agree with it: the unified task vector tau. Each expert also gets a mask of where it agrees and a
rescaler that gives the masked vector the expert's own L1 norm. The paper evaluates each task with
W0 + rescaler_i * mask_i * tau (`task_delta`); the merged model of a folder has tau alone.
"""

from mergescale.merging.method import SWEPT_LAMBDA, Method
from mergescale.merging.statistics import TensorSum


def elect(block):
    """Return the experts' w_i tau_i, and sign and magnitude of the unified task vector."""
    import torch

    deltas = block.weighted()
    sign = torch.where(sum(deltas) >= 0, 1.0, -1.0)
    largest = (deltas[0] * sign).clamp_(min=0)
    for delta in deltas[1:]:
        largest = torch.maximum(largest, delta * sign)
    return deltas, sign, largest


def norms(block):
    """Return the L1 norms of each tau_i and of mask_i * tau; float64, (2, experts)."""
    import torch

    deltas, sign, largest = elect(block)
    masked = [largest * (delta * sign > 0) for delta in deltas]
    return torch.stack([torch.stack(of).double().abs().sum(dim=1) for of in (deltas, masked)])


def requires():
    """The norms that the rescalers are made of."""
    return {"norms": TensorSum(norms)}


def merge(block):
    """tau = s * max_i(max(s * tau_i, 0)), s = sign(sum_i tau_i); mask_i = (tau_i * tau > 0)"""
    deltas, sign, largest = elect(block)
    masks = {expert: delta * sign > 0 for expert, delta in zip(block.experts, deltas, strict=True)}
    return largest * sign, masks


def record(experts, sums):
    """rescaler_i = sum|tau_i| / sum|mask_i * tau|; 1 where nothing is left to rescale."""
    own, masked = sums["norms"].tolist()
    ratios = (one / other if other else 1.0 for one, other in zip(own, masked, strict=True))
    return {"rescalers": dict(zip(experts, ratios, strict=True))}


def task_delta(merged, expert):
    """Return what is added to the base on an expert's tasks: rescaler_i * mask_i * tau.

    Args:
        merged: The `MergedTaskVector` of `METHOD.merge_task_vectors(...)`. lambda has no part in
            it: the paper's variant is W0 + 1 * task_delta.
        expert: The expert's name. Tasks that no expert was trained on have no mask; they are
            evaluated with `merged.tau`.

    Returns:
        {tensor: fp32 Tensor}.
    """
    rescaler, masks = merged.record["rescalers"][expert], merged.masks[expert]
    return {
        tensor: tau * masks[tensor] * rescaler if tensor in masks else tau
        for tensor, tau in merged.tau.items()
    }


METHOD = Method(
    name="emr",
    title="EMR",
    merge=merge,
    requires=requires,
    parameters=(SWEPT_LAMBDA,),
    masks=list,
    record=record,
    task_delta=task_delta,
)
