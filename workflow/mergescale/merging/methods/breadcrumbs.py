"""Model Breadcrumbs (Davari and Belilovsky, 2024, "Model Breadcrumbs", section 3).

From each tensor of a task vector take away the largest entries (outliers, a share `outliers`) and
the smallest ones, so that the share `density` is left; then add the task vectors up.
"""

from mergescale.merging.method import (
    AT_THRESHOLD,
    DENSITY,
    ROUNDING,
    SWEPT_LAMBDA,
    TRIM_SCOPE,
    Method,
    Parameter,
)
from mergescale.merging.statistics import ALL, MagnitudeThreshold


def prepare(density, outliers, trim_scope, rounding, at_threshold=ALL):
    """The magnitudes between which an entry must lie to be kept."""
    # Fewer outliers where otherwise less than `density` would be left.
    outliers = min(outliers, round(1 - density, 10))
    return {
        "smallest kept": MagnitudeThreshold(
            round(density + outliers, 10), trim_scope, rounding, at_threshold
        ),
        "smallest outlier": MagnitudeThreshold(outliers, trim_scope, rounding, at_threshold),
    }


def reduce(chunk, **_):
    """tau = sum_i w_i m_i * tau_i, m_i = 1 between both thresholds"""
    from mergescale.merging.ops.trim import trim
    from mergescale.merging.ops.weighted_sum import times

    total = 0
    for delta, weight, smallest, until, outlier, until_outlier in zip(
        chunk.deltas,
        chunk.weights,
        chunk.of_experts("smallest kept"),
        chunk.until("smallest kept"),
        chunk.of_experts("smallest outlier"),
        chunk.until("smallest outlier"),
        strict=True,
    ):
        kept = trim(delta, smallest, until)
        if outlier != float("inf"):
            kept = kept - trim(delta, outlier, until_outlier)
        total = total + times(kept, weight)
    return total


METHOD = Method(
    name="breadcrumbs",
    title="Breadcrumbs",
    prepare=prepare,
    reduce=reduce,
    parameters=(
        DENSITY,
        Parameter(
            "outliers",
            "share of the largest entries that is taken away",
            values=(0.01,),
            minimum=0,
            maximum=0.5,
            per_expert=True,
        ),
        TRIM_SCOPE.with_default("tensor"),
        ROUNDING,
        AT_THRESHOLD,
        SWEPT_LAMBDA,
    ),
)
