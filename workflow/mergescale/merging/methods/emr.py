"""EMR's elected vector, with masks and rescalers (Huang et al., 2024, "EMR-Merging", section 3.2).

Of every parameter the sign of the sum is elected, and the largest magnitude among the experts that
agree with it. Each expert also gets a mask of where it agrees, and a rescaler that gives the masked
vector the expert's own L1 norm: W0 + rescaler_i * mask_i * tau stands in for expert i. The merge
proper is the elected vector alone.
"""

from mergescale.merging.method import SWEPT_LAMBDA, Method
from mergescale.merging.statistics import TensorSum


def election(chunk):
    """The experts' w_i tau_i, and s and |tau| of what they elect."""
    import torch

    deltas = chunk.weighted()
    sign = torch.where(sum(deltas) >= 0, 1.0, -1.0)
    largest = (deltas[0] * sign).clamp_(min=0)
    for delta in deltas[1:]:
        largest = torch.maximum(largest, delta * sign)
    return deltas, sign, largest


def norms(chunk):
    """L1 norms of each tau_i and of mask_i * tau; float64, (2, experts)."""
    import torch

    deltas, sign, largest = election(chunk)
    masked = [largest * (delta * sign > 0) for delta in deltas]
    return torch.stack([torch.stack(of).double().abs().sum(dim=1) for of in (deltas, masked)])


def prepare(**_):
    """What rescalers are made of."""
    return {"norms": TensorSum(norms)}


def reduce(chunk, **_):
    """tau = s * max_i(max(s * tau_i, 0)), s = sign(sum_i tau_i); mask_i = (tau_i * tau > 0)"""
    deltas, sign, largest = election(chunk)
    masks = {expert: delta * sign > 0 for expert, delta in zip(chunk.experts, deltas, strict=True)}
    return largest * sign, masks


def record(experts, sums):
    """rescaler_i = sum|tau_i| / sum|mask_i * tau|; 1 where nothing is left to rescale."""
    own, masked = sums["norms"].tolist()
    ratios = (one / other if other else 1.0 for one, other in zip(own, masked, strict=True))
    return {"rescalers": dict(zip(experts, ratios, strict=True))}


METHOD = Method(
    name="emr",
    title="EMR",
    prepare=prepare,
    reduce=reduce,
    parameters=(SWEPT_LAMBDA,),
    extras=list,
    record=record,
)
