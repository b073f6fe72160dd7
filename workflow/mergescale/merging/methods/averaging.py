"""Averaging: the mean of the experts' weights (Wortsman et al., 2022, arXiv 2203.05482).

mean(W_i) = W0 + mean(W_i - W0), so tau is the mean of the task vectors and lambda is 1: the base
cancels out, and nothing is swept.
"""

from mergescale.merging.method import FIXED_LAMBDA, Method


def merge(block):
    """tau = sum_i w_i tau_i / sum_i w_i"""
    return block.weighted_sum() / sum(block.weights)


METHOD = Method(
    name="averaging",
    title="Averaging",
    merge=merge,
    parameters=(FIXED_LAMBDA,),
    normalized=True,
)
