"""Model Stock (Jang et al., 2024, arXiv 2403.19522): move the average towards the base.

In each tensor, the mean of N task vectors is scaled by t = N cos / (1 + (N - 1) cos), where cos is
the mean cosine between two of them (equation 7).
"""

from mergescale.merging.method import FIXED_LAMBDA, Method
from mergescale.merging.statistics import TensorSum

SINGULAR = 1e-6  # as mergekit: a smaller denominator of t is rounding error


def products(block):
    """Return the inner products of every two task vectors; float64, (experts, experts)."""
    import torch

    deltas = torch.stack(list(block.deltas)).double()
    return deltas @ deltas.T


def requires():
    """The inner products that the angles are made of."""
    return {"products": TensorSum(products)}


def ratio(products):
    """Return t from the inner products of N task vectors.

    A task vector of 0 is at right angles to all. t is 0, which leaves the base, where task vectors
    cancel out so that it would be infinite.
    """
    import torch

    number = len(products)
    lengths = products.diagonal().sqrt()
    lengths[lengths == 0] = 1  # its products are 0
    cosines = products / torch.outer(lengths, lengths)
    cosine = float(cosines.triu(1).sum()) / (number * (number - 1) / 2)
    denominator = 1 + (number - 1) * cosine
    return number * cosine / denominator if abs(denominator) > SINGULAR else 0.0


def merge(block):
    """tau = t * mean_i(tau_i)"""
    return sum(block.deltas) / len(block.deltas) * ratio(block.statistics["products"])


METHOD = Method(
    name="model_stock",
    title="Model Stock",
    merge=merge,
    requires=requires,
    parameters=(FIXED_LAMBDA,),
    experts=(2, None),
    weighted=False,
)
