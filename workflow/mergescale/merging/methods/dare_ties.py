"""Dare-TIES: DARE (Yu et al., 2024, "Language models are Super Mario") before a TIES election.

Drop each entry of a task vector with probability p = 1 - density and rescale the rest by
1 / (1 - p); then elect signs and take the disjoint mean as TIES does. The random drop takes the
place of TIES' trim: at these densities a trim after it would remove nothing more.
"""

from mergescale.merging.method import AGGREGATE, DENSITY, SWEPT_LAMBDA, Method
from mergescale.merging.ops.elect import Election


def reduce(chunk, aggregate, **_):
    """tau = disjoint_mean_i(w_i m_i * tau_i / (1 - p)), m_i ~ Bernoulli(1 - p)"""
    from mergescale.merging.ops.mask import dropped_and_rescaled

    return Election(dropped_and_rescaled(chunk), aggregate)


METHOD = Method(
    name="dare_ties",
    title="Dare-TIES",
    reduce=reduce,
    parameters=(DENSITY, AGGREGATE, SWEPT_LAMBDA),
    stochastic=True,
)
