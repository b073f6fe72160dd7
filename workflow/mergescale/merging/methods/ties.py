"""TIES (Yadav et al., 2023, "TIES-Merging: resolving interference when merging models").

Trim each task vector to its largest magnitudes, elect a sign for every parameter, and take the
mean over the experts that agree with it.
"""

from mergescale.merging.election import disjoint_mean
from mergescale.merging.method import DENSITY, SWEPT_LAMBDA, Method, Parameter
from mergescale.merging.task_vector import by_tensor
from mergescale.merging.threshold import thresholds, trim


def combine(task_vectors, density, trim_scope="model"):
    """tau = disjoint_mean_i(trim(tau_i)); trim_scope: what the share `density` is taken of."""
    limits = {name: thresholds(delta, density, trim_scope) for name, delta in task_vectors.items()}
    return {
        tensor: disjoint_mean(
            [trim(delta, limits[expert][tensor]) for expert, delta in deltas.items()]
        )
        for tensor, deltas in by_tensor(task_vectors)
    }


TRIM_SCOPE = Parameter(
    "trim_scope",
    "trim to the largest magnitudes of the whole model or of each tensor",
    values=("model",),
    choices=("model", "tensor"),
)
METHOD = Method(
    name="ties", title="TIES", combine=combine, parameters=(DENSITY, TRIM_SCOPE, SWEPT_LAMBDA)
)
