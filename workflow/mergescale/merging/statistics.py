"""What a method may require before it merges: thresholds, sums over tensors, statistics files.

`Method.requires` returns these by name; `block.statistics` has the results under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

ALL, FIRST = "all", "first"


@dataclass(frozen=True)
class MagnitudeThreshold:
    """The smallest magnitude among the largest `density` of an expert's task vector.

    `block.statistics[name]` is a list with a `BlockCutoff` for each expert, which `trim` takes.
    Where no entry is to be kept, the threshold is infinite.

    Attributes:
        density: A fraction in [0, 1].
        scope: "model", or "tensor" for a threshold of each tensor's own.
        rounding: How `density` becomes a number of entries: see `ops.trim.count_to_keep`.
        ties: Which entries of just this magnitude are kept: "all", or as many of the "first" as
            `density` leaves room for, in order of tensor names and of the indices in them.
    """

    density: float
    scope: str = "model"
    rounding: str = "up"
    ties: str = ALL


@dataclass(frozen=True)
class TensorSum:
    """A number or array that adds up over the elements of a tensor, such as an inner product.

    `block.statistics[name]` is the sum over the block's whole tensor.

    Attributes:
        of: From a block, which has no statistics itself, to a float64 tensor. It is called on
            blocks that depend on the tensor only, and the results are added in order, so that the
            sum depends neither on memory limits nor on threads.
    """

    of: Callable[[Any], Tensor]


@dataclass(frozen=True)
class StatisticsFile:
    """A safetensors file of each expert with the model's tensor names and shapes.

    `block.statistics[name]` is a list with one fp32, 1-D tensor for each expert: the block's
    elements of that expert's file. `mergescale expert-statistics` writes such files.

    Attributes:
        kind: Which statistics: "fisher" for the diagonal Fisher information. A recipe gives an
            expert's file under this key.
    """

    kind: str


Statistic = MagnitudeThreshold | TensorSum | StatisticsFile


def sum_over_tensors(sums: Mapping[str, Any]) -> Any:
    """Return the sum over a whole model from {tensor: sum}, added in order of tensor names."""
    return sum(sums[tensor] for tensor in sorted(sums))
