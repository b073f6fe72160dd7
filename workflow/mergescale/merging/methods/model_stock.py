"""Model Stock (Jang et al., 2024, "Model Stock: all we need is just a few fine-tuned models").

In each tensor, the mean of N task vectors is drawn towards the base by the ratio
t = N cos / (1 + (N - 1) cos), where cos is the mean cosine between two of them (equation 7).
"""

from mergescale.merging.method import FIXED_LAMBDA, Method
from mergescale.merging.statistics import TensorSum

SINGULAR = 1e-6  # as mergekit: a smaller denominator of t is rounding error


def products(chunk):
    """Inner products of every two task vectors; float64, (experts, experts)."""
    import torch

    deltas = torch.stack(list(chunk.deltas)).double()
    return deltas @ deltas.T


def prepare(**_):
    """What angles are made of."""
    return {"products": TensorSum(products)}


def ratio(products):
    """t from the inner products of N task vectors; a task vector of 0 is at right angles to all.

    0, which leaves the base, where task vectors cancel out so that t would be infinite.
    """
    import torch

    number = len(products)
    lengths = products.diagonal().sqrt()
    lengths[lengths == 0] = 1  # its products are 0
    cosines = products / torch.outer(lengths, lengths)
    cosine = float(cosines.triu(1).sum()) / (number * (number - 1) / 2)
    below = 1 + (number - 1) * cosine
    return number * cosine / below if abs(below) > SINGULAR else 0.0


def reduce(chunk, **_):
    """tau = t * mean_i(tau_i)"""
    return sum(chunk.deltas) / len(chunk.deltas) * ratio(chunk.of_tensor("products"))


METHOD = Method(
    name="model_stock",
    title="Model Stock",
    prepare=prepare,
    reduce=reduce,
    parameters=(FIXED_LAMBDA,),
    experts=(2, None),
    weighted=False,
)
