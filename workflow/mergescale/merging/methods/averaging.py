"""Averaging: the mean of the experts' weights.

mean(W_i) = W0 + mean(W_i - W0), so tau is the mean of the task vectors and lambda is 1: the base
cancels out and nothing is swept.
"""

from mergescale.merging.method import FIXED_LAMBDA, Method
from mergescale.merging.task_vector import by_tensor


def combine(task_vectors):
    """tau = (1/N) sum_i tau_i"""
    return {
        tensor: sum(deltas.values()) / len(deltas) for tensor, deltas in by_tensor(task_vectors)
    }


METHOD = Method(name="averaging", title="Averaging", combine=combine, parameters=(FIXED_LAMBDA,))
