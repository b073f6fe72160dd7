"""SLERP: spherical interpolation between the weights of two models, tensor by tensor.

Shoemake, 1985: W = sin((1 - t) a) / sin(a) W_1 + sin(t a) / sin(a) W_2, where a is the angle
between W_1 and W_2; linear interpolation where they are parallel or one of them is 0. W_1 and W_2
are two experts, or the base and its only expert; tau is W less the base.
"""

from mergescale.merging.method import FIXED_LAMBDA, Method, Parameter
from mergescale.merging.statistics import TensorSum

PARALLEL = 0.9995  # as mergekit: beyond this cosine the sines are too small to divide by


def endpoints(block):
    """Return what is added to the base at both ends: nothing, or an expert's task vector."""
    import torch

    return (torch.zeros_like(block.base), *block.deltas)[-2:]


def products(block):
    """Return the inner products of the weights at both ends; float64, (2, 2)."""
    import torch

    weights = torch.stack([block.base + delta for delta in endpoints(block)]).double()
    return weights @ weights.T


def requires():
    """The inner products that the angle is made of."""
    return {"products": TensorSum(products)}


def factors(products, t):
    """Return the factors of W_1 and W_2."""
    from math import acos, sin, sqrt

    lengths = sqrt(float(products[0, 0])) * sqrt(float(products[1, 1]))
    cosine = float(products[0, 1]) / lengths if lengths else 1.0
    if abs(cosine) > PARALLEL:
        return 1 - t, t
    angle = acos(cosine)
    return sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle)


def merge(block, t):
    """tau = f_1 W_1 + f_2 W_2 - W0"""
    first, second = factors(block.statistics["products"], t)
    one, two = endpoints(block)
    return one * first + two * second + block.base * (first + second - 1)


METHOD = Method(
    name="slerp",
    title="SLERP",
    merge=merge,
    requires=requires,
    parameters=(
        Parameter(
            "t", "how far from the first model (0) to the second (1)",
            values=(0.5,), minimum=0, maximum=1,
        ),
        FIXED_LAMBDA,
    ),
    experts=(1, 2),
    weighted=False,
)  # fmt: skip
