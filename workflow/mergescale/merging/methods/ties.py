"""TIES (Yadav et al., 2023, "TIES-Merging: resolving interference when merging models").

Trim each task vector to its largest magnitudes, elect a sign for every parameter, and take the
mean over the experts that agree with it.
"""

from mergescale.merging.election import Election
from mergescale.merging.entries import Entries
from mergescale.merging.method import AGGREGATE, DENSITY, ROUNDING, SWEPT_LAMBDA, TRIM_SCOPE, Method
from mergescale.merging.statistics import Threshold


def prepare(density, trim_scope, rounding, **_):
    """The magnitude that an entry must have to be kept."""
    return {"smallest kept": Threshold(density, trim_scope, rounding)}


def reduce(chunk, aggregate, **_):
    """tau = disjoint_mean_i(w_i trim(tau_i))"""
    trimmed = [
        Entries(delta, weight, smallest=smallest)
        for delta, smallest, weight in zip(
            chunk.deltas, chunk.of_experts("smallest kept"), chunk.weights, strict=True
        )
    ]
    return Election(trimmed, aggregate)


METHOD = Method(
    name="ties",
    title="TIES",
    prepare=prepare,
    reduce=reduce,
    parameters=(DENSITY, TRIM_SCOPE, ROUNDING, AGGREGATE, SWEPT_LAMBDA),
)
