"""EMR's elected vector, with its masks (Huang et al., 2024, "EMR-Merging", section 3.2).

Of every parameter the sign of the sum is elected, and the largest magnitude among the experts that
agree with it. Each expert also gets a mask of where it agrees; with it (and a factor) the elected
vector stands in for that expert's own task vector. The merge proper is the elected vector alone.
"""

from mergescale.merging.method import SWEPT_LAMBDA, Method


def reduce(chunk):
    """tau = s * max_i(max(s * tau_i, 0)), s = sign(sum_i tau_i); mask_i = (tau_i * tau > 0)"""
    import torch

    deltas = chunk.weighted()
    sign = torch.where(sum(deltas) >= 0, 1.0, -1.0)
    largest = (deltas[0] * sign).clamp_(min=0)
    for delta in deltas[1:]:
        largest = torch.maximum(largest, delta * sign)
    masks = {expert: delta * sign > 0 for expert, delta in zip(chunk.experts, deltas, strict=True)}
    return largest * sign, masks


METHOD = Method(
    name="emr",
    title="EMR",
    reduce=reduce,
    parameters=(SWEPT_LAMBDA,),
    extras=list,
)
