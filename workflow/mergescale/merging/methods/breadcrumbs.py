"""Model Breadcrumbs (Davari and Belilovsky, 2024, "Model Breadcrumbs", section 3).

From each tensor of a task vector take away the largest entries (outliers, a share `outliers`) and
the smallest ones, so that the share `density` is left; then add the task vectors up.
"""

from mergescale.merging.method import DENSITY, ROUNDING, SWEPT_LAMBDA, TRIM_SCOPE, Method, Parameter
from mergescale.merging.statistics import Threshold


def prepare(density, outliers, trim_scope, rounding):
    """The magnitudes between which an entry must lie to be kept."""
    wanted = {
        "smallest kept": Threshold(min(1.0, round(density + outliers, 10)), trim_scope, rounding)
    }
    if outliers:
        wanted["smallest outlier"] = Threshold(outliers, trim_scope, rounding)
    return wanted


def reduce(chunk, outliers, **_):
    """tau = sum_i w_i m_i * tau_i, m_i = 1 between both thresholds"""
    from mergescale.merging.chunk import times
    from mergescale.merging.threshold import trim

    total = 0
    for number, (delta, weight) in enumerate(zip(chunk.deltas, chunk.weights, strict=True)):
        kept = trim(delta, chunk.of_experts("smallest kept")[number])
        if outliers:
            kept = kept - trim(delta, chunk.of_experts("smallest outlier")[number])
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
        ),
        TRIM_SCOPE.with_default("tensor"),
        ROUNDING,
        SWEPT_LAMBDA,
    ),
)
