"""TIES (Yadav et al., 2023, "TIES-Merging: resolving interference when merging models").

Trim each task vector to its largest magnitudes, elect a sign for every parameter, and take the
mean over the experts that agree with it.
"""

from mergescale.merging.method import (
    AGGREGATE,
    AT_THRESHOLD,
    DENSITY,
    ROUNDING,
    SWEPT_LAMBDA,
    TRIM_SCOPE,
    Method,
)
from mergescale.merging.ops.elect import Election
from mergescale.merging.ops.sparse_delta import SparseDelta
from mergescale.merging.statistics import ALL, MagnitudeThreshold


def prepare(density, trim_scope, rounding, at_threshold=ALL, **_):
    """The magnitude that an entry must have to be kept."""
    return {"smallest kept": MagnitudeThreshold(density, trim_scope, rounding, at_threshold)}


def reduce(chunk, aggregate, **_):
    """tau = disjoint_mean_i(w_i trim(tau_i))"""
    trimmed = [
        SparseDelta(delta, weight, smallest, until)
        for delta, weight, smallest, until in zip(
            chunk.deltas,
            chunk.weights,
            chunk.of_experts("smallest kept"),
            chunk.until("smallest kept"),
            strict=True,
        )
    ]
    return Election(trimmed, aggregate)


METHOD = Method(
    name="ties",
    title="TIES",
    prepare=prepare,
    reduce=reduce,
    parameters=(DENSITY, TRIM_SCOPE, ROUNDING, AT_THRESHOLD, AGGREGATE, SWEPT_LAMBDA),
)
