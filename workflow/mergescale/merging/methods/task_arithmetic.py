"""Task Arithmetic (Ilharco et al., 2023, "Editing models with task arithmetic")."""

from mergescale.merging.method import SWEPT_LAMBDA, Method


def reduce(chunk):
    """tau = sum_i w_i tau_i"""
    return chunk.weighted_sum()


METHOD = Method(
    name="task_arithmetic", title="Task Arithmetic", reduce=reduce, parameters=(SWEPT_LAMBDA,)
)
