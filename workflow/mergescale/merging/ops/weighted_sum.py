"""Task vectors times their experts' weights, and the sum of those: all that linear merges are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def times(delta: Tensor, weight: float) -> Tensor:
    """`delta * weight`, without the work where the weight is 1."""
    return delta if weight == 1 else delta * weight


def weighted_sum(deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """0 + delta * weight + ..., in order; fp32 tensors of one shape."""
    return sum(times(delta, weight) for delta, weight in zip(deltas, weights, strict=True))


def weighted_sum_numba(deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """`weighted_sum` by a compiled loop: the same bits.

    Raises ValueError unless the task vectors are contiguous fp32 vectors of one length, of the CPU:
    the loop looks at addresses only.
    """
    import numpy as np
    import torch

    from mergescale.merging.ops.kernels.weighted_sum import add_up

    total = torch.empty_like(deltas[0])
    addresses = addresses_of(deltas, total.numel())
    add_up(addresses, np.array(weights, np.float32), total.numpy())
    return total


def addresses_of(deltas: Sequence[Tensor], size: int) -> np.ndarray:
    """Where fp32 vectors of this length lie: int64. Raises ValueError for any other tensor."""
    import numpy as np
    import torch

    for delta in deltas:
        fits = delta.dtype == torch.float32 and delta.is_contiguous() and delta.device.type == "cpu"
        if not fits or delta.shape != (size,):
            raise ValueError("loops read contiguous fp32 vectors of one length")
    return np.array([delta.data_ptr() for delta in deltas], np.int64)
