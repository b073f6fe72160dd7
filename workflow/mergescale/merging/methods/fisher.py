"""Fisher-weighted averaging (Matena and Raffel, 2022, arXiv 2111.09832, equation 4).

The average of the experts' weights in which each entry counts as much as the expert's predictions
depend on it: by its diagonal Fisher information F_i, from a statistics file. The base cancels out,
so that tau is the same average of the task vectors and lambda is 1.
"""

from mergescale.merging.method import FIXED_LAMBDA, Method, Parameter
from mergescale.merging.statistics import StatisticsFile

FLOOR = Parameter(
    "floor",
    "smallest Fisher information that an entry is taken to have",
    values=(1e-6,),
    minimum=0,
    maximum=1,
    above_minimum=True,
)


def requires():
    """The diagonal Fisher information of each expert."""
    return {"fisher": StatisticsFile("fisher")}


def merge(block, floor):
    """tau = sum_i w_i F_i tau_i / sum_i w_i F_i"""
    information = [fisher.clamp(min=floor) for fisher in block.statistics["fisher"]]
    total = norm = 0
    for weight, fisher, delta in zip(block.weights, information, block.deltas, strict=True):
        total = total + weight * fisher * delta
        norm = norm + weight * fisher
    return total / norm


METHOD = Method(
    name="fisher",
    title="Fisher",
    merge=merge,
    requires=requires,
    parameters=(FLOOR, FIXED_LAMBDA),
    normalized=True,
)
