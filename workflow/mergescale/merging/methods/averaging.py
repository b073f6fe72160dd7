"""Averaging: the mean of the experts' weights.

mean(W_i) = W0 + mean(W_i - W0), so tau is the mean of the task vectors and lambda is 1: the base
cancels out and nothing is swept.
"""

from mergescale.merging.method import FIXED_LAMBDA, Method


def reduce(chunk):
    """tau = sum_i w_i tau_i / sum_i w_i"""
    return chunk.weighted_sum() / sum(chunk.weights)


METHOD = Method(
    name="averaging",
    title="Averaging",
    reduce=reduce,
    parameters=(FIXED_LAMBDA,),
    normalized=True,
)
