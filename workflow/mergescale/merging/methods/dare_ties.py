"""Dare-TIES: DARE (Yu et al., 2024, "Language models are Super Mario") before a TIES election.

Drop each entry of a task vector with probability p = 1 - density and rescale the rest by
1 / (1 - p); then elect signs and take the disjoint mean as TIES does. The random drop takes the
place of TIES' trim: at these densities a trim after it would remove nothing more.
"""

from mergescale.merging.election import disjoint_mean
from mergescale.merging.method import DENSITY, SWEPT_LAMBDA, Method
from mergescale.merging.random_mask import drop_and_rescale
from mergescale.merging.task_vector import by_tensor


def combine(task_vectors, density, seed):
    """tau = disjoint_mean_i(m_i * tau_i / (1 - p)), m_i ~ Bernoulli(1 - p)"""
    return {
        tensor: disjoint_mean(
            [
                drop_and_rescale(delta, 1 - density, seed, expert, tensor)
                for expert, delta in deltas.items()
            ]
        )
        for tensor, deltas in by_tensor(task_vectors)
    }


METHOD = Method(
    name="dare_ties",
    title="Dare-TIES",
    combine=combine,
    parameters=(DENSITY, SWEPT_LAMBDA),
    stochastic=True,
)
