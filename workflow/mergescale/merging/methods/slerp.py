"""SLERP: spherical interpolation between the weights of two models, tensor by tensor.

Shoemake, 1985: W = sin((1 - t) a) / sin(a) W_1 + sin(t a) / sin(a) W_2, where a is the angle
between W_1 and W_2; plain interpolation where they are parallel or one of them is 0. W_1 and W_2
are two experts, or the base and its only expert; tau is what leads from the base to W.
"""

from mergescale.merging.method import FIXED_LAMBDA, Method, Parameter
from mergescale.merging.statistics import TensorSum

PARALLEL = 0.9995  # as mergekit and others: beyond this cosine the sines are too small to divide by


def endpoints(chunk):
    """What is added to the base at both ends: nothing, or an expert's task vector."""
    import torch

    return (torch.zeros_like(chunk.base), *chunk.deltas)[-2:]


def products(chunk):
    """Inner products of the weights at both ends; float64, (2, 2)."""
    import torch

    weights = torch.stack([chunk.base + delta for delta in endpoints(chunk)]).double()
    return weights @ weights.T


def prepare(**_):
    """What the angle is made of."""
    return {"products": TensorSum(products)}


def factors(products, t):
    """The factors of W_1 and W_2."""
    from math import acos, sin, sqrt

    lengths = sqrt(float(products[0, 0])) * sqrt(float(products[1, 1]))
    cosine = float(products[0, 1]) / lengths if lengths else 1.0
    if abs(cosine) > PARALLEL:
        return 1 - t, t
    angle = acos(cosine)
    return sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle)


def reduce(chunk, t, **_):
    """tau = f_1 W_1 + f_2 W_2 - W0"""
    first, second = factors(chunk.of_tensor("products"), t)
    one, two = endpoints(chunk)
    return one * first + two * second + chunk.base * (first + second - 1)


METHOD = Method(
    name="slerp",
    title="SLERP",
    prepare=prepare,
    reduce=reduce,
    parameters=(
        Parameter(
            "t", "where between the first model (0) and the second (1)",
            values=(0.5,), minimum=0, maximum=1,
        ),
        FIXED_LAMBDA,
    ),
    experts=(1, 2),
    weighted=False,
)  # fmt: skip
