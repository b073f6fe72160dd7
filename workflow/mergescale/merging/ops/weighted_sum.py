"""Deltas times their experts' weights, and the sum of those: all that linear merges are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def times(delta: Tensor, weight: float) -> Tensor:
    """Return `delta * weight`, or `delta` itself where the weight is 1."""
    return delta if weight == 1 else delta * weight


def weighted_sum(deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return 0 + delta * weight + ..., in order; fp32 tensors of one shape."""
    return sum(times(delta, weight) for delta, weight in zip(deltas, weights, strict=True))


def weighted_sum_numba(deltas: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return `weighted_sum`, bit for bit, by a compiled kernel.

    Raises:
        ValueError: Unless the deltas are contiguous fp32 vectors of one length on the CPU: the
            kernel gets addresses only.
    """
    import numpy as np
    import torch

    from mergescale.merging.ops.kernels.weighted_sum import add_up

    total = torch.empty_like(deltas[0])
    addresses = data_pointers(deltas, total.numel())
    add_up(addresses, np.array(weights, np.float32), total.numpy())
    return total


def data_pointers(deltas: Sequence[Tensor], size: int) -> np.ndarray:
    """Return the addresses of fp32 vectors of `size` entries, int64.

    Raises:
        ValueError: For any other tensor.
    """
    import numpy as np
    import torch

    for delta in deltas:
        fits = delta.dtype == torch.float32 and delta.is_contiguous() and delta.device.type == "cpu"
        if not fits or delta.shape != (size,):
            raise ValueError("kernels read contiguous fp32 vectors of one length")
    return np.array([delta.data_ptr() for delta in deltas], np.int64)
