"""Task Arithmetic (Ilharco et al., 2023, "Editing models with task arithmetic")."""

from mergescale.merging.method import SWEPT_LAMBDA, Method
from mergescale.merging.task_vector import by_tensor


def combine(task_vectors):
    """tau = sum_i tau_i"""
    return {tensor: sum(deltas.values()) for tensor, deltas in by_tensor(task_vectors)}


METHOD = Method(
    name="task_arithmetic",
    title="Task Arithmetic",
    combine=combine,
    parameters=(SWEPT_LAMBDA,),
)
