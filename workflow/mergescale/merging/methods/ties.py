"""TIES-Merging (Yadav et al., 2023, arXiv 2306.01708): trim, elect signs, average what agrees.

Trim each task vector to its largest magnitudes, elect a sign for every entry, and take the mean
over the experts whose entry has that sign.
"""

from mergescale.merging.method import (
    AGGREGATE,
    DENSITY,
    ROUNDING,
    SWEPT_LAMBDA,
    TIES,
    TRIM_SCOPE,
    Method,
)
from mergescale.merging.ops.elect import elect_signs
from mergescale.merging.ops.trim import trim
from mergescale.merging.statistics import MagnitudeThreshold


def requires(density, trim_scope, rounding, ties):
    """The magnitude that an entry needs to be kept."""
    return {"threshold": MagnitudeThreshold(density, trim_scope, rounding, ties)}


def merge(block, aggregate):
    """tau = disjoint_mean_i(w_i trim(tau_i))"""
    cutoffs = block.statistics["threshold"]
    trimmed = [trim(delta, cutoff) for delta, cutoff in zip(block.deltas, cutoffs, strict=True)]
    return elect_signs(trimmed, block.weights, aggregate)


METHOD = Method(
    name="ties",
    title="TIES",
    merge=merge,
    requires=requires,
    parameters=(DENSITY, TRIM_SCOPE, ROUNDING, TIES, AGGREGATE, SWEPT_LAMBDA),
)
