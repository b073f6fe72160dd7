"""A piece of a merged model as its file holds it: W0 + lambda * tau in the output's dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def cast_output(
    tau: Tensor, lam: float, base: Tensor, dtype: str, compiled: bool = False
) -> tuple[memoryview | None, int, int]:
    """The bytes of a piece, how many entries of lambda * tau are not 0, and how many were lost.

    tau, base: fp32, 1-D. Lost are entries whose value in `dtype` is the base's all the same; both
    counts are 0 for float32, where nothing is. The bytes are None where a number is not finite.
    Where lambda is 0, the base is written. compiled: by compiled loops, where there is one.
    """
    import torch

    if compiled and lam and dtype in ("bfloat16", "float32"):
        return _by_a_loop(tau.contiguous(), lam, base, dtype)
    update = tau * lam
    merged = update + base if lam else base
    values = merged.to(getattr(torch, dtype))
    if not all(bound.isfinite() for bound in values.aminmax()):
        return None, 0, 0
    counts = (0, 0) if dtype == "float32" else rounded_away(update, values, base)
    return as_bytes(values), *counts


def _by_a_loop(
    tau: Tensor, lam: float, base: Tensor, dtype: str
) -> tuple[memoryview | None, int, int]:
    import numpy as np

    from mergescale.merging.ops.kernels.cast import to_bfloat16, to_float32

    factor, moving, lost = np.float32(lam), 0, 0
    if dtype == "float32":
        values = np.empty(len(base), np.float32)
        overflows = to_float32(tau.numpy(), factor, base.numpy(), values)
    else:
        values = np.empty(len(base), np.uint16)
        overflows, moving, lost = to_bfloat16(tau.numpy(), factor, base.numpy(), values)
    return None if overflows else memoryview(values.view(np.uint8)), moving, lost


def rounded_away(update: Tensor, written: Tensor, base: Tensor) -> tuple[int, int]:
    """How many entries of lambda * tau are not 0, and how many of those the output's dtype lost.

    Counted by numpy, whose comparisons and counts are several times faster than torch's.
    """
    import numpy as np

    moving = update.cpu().numpy() != 0
    same = written.float().cpu().numpy() == base.cpu().numpy()
    return int(np.count_nonzero(moving)), int(np.count_nonzero(moving & same))


def as_bytes(values: Tensor) -> memoryview:
    """The bytes of a contiguous tensor, as a file holds them."""
    import torch

    return memoryview(values.contiguous().cpu().view(torch.uint8).numpy())
