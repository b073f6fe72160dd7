"""Model Stock (Jang et al., 2024, "Model Stock: all we need is just a few fine-tuned models").

In each tensor, the mean of N task vectors is drawn towards the base by the ratio
t = N cos / (1 + (N - 1) cos), where cos is the mean cosine between two of them (equation 7).
"""

from mergescale.merging.method import FIXED_LAMBDA, Method
from mergescale.merging.statistics import Sum


def products(chunk):
    """Inner products of every two task vectors; float64, (experts, experts)."""
    import torch

    deltas = torch.stack(list(chunk.deltas)).double()
    return deltas @ deltas.T


def prepare(**_):
    """What angles are made of."""
    return {"products": Sum(products)}


def ratio(products):
    """t from the inner products of N task vectors; 0 where one of them is 0."""
    import torch

    number = len(products)
    lengths = products.diagonal().sqrt()
    if (lengths == 0).any():
        return 0.0
    cosines = products / torch.outer(lengths, lengths)
    cosine = float((cosines.sum() - cosines.trace()) / (number * (number - 1)))
    return number * cosine / (1 + (number - 1) * cosine)


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
)
