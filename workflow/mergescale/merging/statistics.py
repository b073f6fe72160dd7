"""What a method may ask to know of the experts before it reduces them: thresholds and sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ALL, FIRST = "all", "first"


@dataclass(frozen=True)
class MagnitudeThreshold:
    """The smallest magnitude among the largest `density` of an expert's task vector.

    density: a share from 0 to 1. scope: "model", or "tensor" for a threshold of each tensor by
    itself. rounding: to whole entries, as in `threshold.kept_count`. Where this is no entry the
    threshold is infinite. at_threshold: which entries of just this magnitude are among the largest:
    ALL, or as many of the FIRST as the share leaves, by the tensors' names and the index in them.
    """

    density: float
    scope: str = "model"
    rounding: str = "up"
    at_threshold: str = ALL


@dataclass(frozen=True)
class TensorSum:
    """A number or array that adds up over the elements of a tensor, such as an inner product.

    of: from a chunk to a float64 tensor. It is called on blocks that depend on the tensor only, and
    their results are added in order, so that the sum does not depend on chunks or threads.
    """

    of: Callable[[Any], Any]


def over_tensors(sums: Mapping[str, Any]) -> Any:
    """The sum over a whole model from {tensor: sum}: added in order of the tensors' names."""
    return sum(sums[tensor] for tensor in sorted(sums))
