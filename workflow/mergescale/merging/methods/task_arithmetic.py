"""Task Arithmetic (Ilharco et al., 2023, arXiv 2212.04089): add the task vectors up."""

from mergescale.merging.method import SWEPT_LAMBDA, Method


def merge(block):
    """tau = sum_i w_i tau_i"""
    return block.weighted_sum()


METHOD = Method(
    name="task_arithmetic", title="Task Arithmetic", merge=merge, parameters=(SWEPT_LAMBDA,)
)
