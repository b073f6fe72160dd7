"""Dare-TIES: DARE (Yu et al., 2024, arXiv 2311.03099) with TIES' election of signs.

Drop each entry of a task vector with probability p = 1 - density and rescale the others by
1 / (1 - p); then elect signs and take the disjoint mean as TIES does. Dropping at random takes the
place of TIES' trim: at these densities a trim after it would remove nothing more.
"""

from mergescale.merging.method import AGGREGATE, DENSITY, SWEPT_LAMBDA, Method
from mergescale.merging.ops.elect import elect_signs
from mergescale.merging.ops.mask import drop_and_rescale


def merge(block, aggregate):
    """tau = disjoint_mean_i(w_i m_i * tau_i / (1 - p)), m_i ~ Bernoulli(1 - p)"""
    return elect_signs(drop_and_rescale(block), block.weights, aggregate)


METHOD = Method(
    name="dare_ties",
    title="Dare-TIES",
    merge=merge,
    parameters=(DENSITY, AGGREGATE, SWEPT_LAMBDA),
    stochastic=True,
)
