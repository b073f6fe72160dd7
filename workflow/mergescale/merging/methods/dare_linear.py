"""DARE with Task Arithmetic (Yu et al., 2024, arXiv 2311.03099, section 3.2).

Drop each entry of a task vector with probability p = 1 - density, rescale the others by
1 / (1 - p), and add the task vectors up.
"""

from mergescale.merging.method import DENSITY, SWEPT_LAMBDA, Method
from mergescale.merging.ops.mask import drop_and_rescale
from mergescale.merging.ops.weighted_sum import weighted_sum


def merge(block):
    """tau = sum_i w_i m_i * tau_i / (1 - p), m_i ~ Bernoulli(1 - p)"""
    return weighted_sum([delta.materialize() for delta in drop_and_rescale(block)], block.weights)


METHOD = Method(
    name="dare_linear",
    title="DARE",
    merge=merge,
    parameters=(DENSITY, SWEPT_LAMBDA),
    stochastic=True,
)
