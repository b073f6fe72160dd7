"""DARE before Task Arithmetic (Yu et al., 2024, "Language models are Super Mario", section 3.2).

Drop each entry of a task vector with probability p = 1 - density, rescale the rest by 1 / (1 - p),
and add the task vectors up.
"""

from mergescale.merging.method import DENSITY, SWEPT_LAMBDA, Method


def reduce(chunk, **_):
    """tau = sum_i w_i m_i * tau_i / (1 - p), m_i ~ Bernoulli(1 - p)"""
    from mergescale.merging.ops.mask import dropped_and_rescaled

    return sum(entries.tensor() for entries in dropped_and_rescaled(chunk))


METHOD = Method(
    name="dare_linear",
    title="DARE",
    reduce=reduce,
    parameters=(DENSITY, SWEPT_LAMBDA),
    stochastic=True,
)
