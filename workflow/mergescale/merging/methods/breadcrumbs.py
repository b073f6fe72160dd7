"""Model Breadcrumbs (Davari and Belilovsky, 2024, arXiv 2312.06795, section 3).

From each tensor of a task vector remove the largest entries (the fraction `outliers`) and the
smallest ones, so that the fraction `density` is kept; then add the task vectors up.
"""

from mergescale.merging.method import (
    DENSITY,
    ROUNDING,
    SWEPT_LAMBDA,
    TIES,
    TRIM_SCOPE,
    Method,
    Parameter,
)
from mergescale.merging.ops.trim import trim
from mergescale.merging.ops.weighted_sum import times
from mergescale.merging.statistics import MagnitudeThreshold

OUTLIERS = Parameter(
    "outliers",
    "fraction of the largest entries that is removed",
    values=(0.01,),
    minimum=0,
    maximum=0.5,
    per_expert=True,
)


def requires(density, outliers, trim_scope, rounding, ties):
    """The magnitudes between which an entry must lie to be kept."""
    # Fewer outliers where otherwise less than `density` would be left.
    outliers = min(outliers, round(1 - density, 10))
    density_and_outliers = round(density + outliers, 10)
    return {
        "smallest kept": MagnitudeThreshold(density_and_outliers, trim_scope, rounding, ties),
        "smallest outlier": MagnitudeThreshold(outliers, trim_scope, rounding, ties),
    }


def merge(block):
    """tau = sum_i w_i m_i * tau_i, m_i = 1 between both thresholds"""
    total = 0
    for delta, weight, smallest_kept, smallest_outlier in zip(
        block.deltas,
        block.weights,
        block.statistics["smallest kept"],
        block.statistics["smallest outlier"],
        strict=True,
    ):
        kept = trim(delta, smallest_kept).materialize()
        if smallest_outlier.threshold != float("inf"):
            kept = kept - trim(delta, smallest_outlier).materialize()
        total = total + times(kept, weight)
    return total


METHOD = Method(
    name="breadcrumbs",
    title="Breadcrumbs",
    merge=merge,
    requires=requires,
    parameters=(
        DENSITY,
        OUTLIERS,
        TRIM_SCOPE.with_default("tensor"),
        ROUNDING,
        TIES,
        SWEPT_LAMBDA,
    ),
)
