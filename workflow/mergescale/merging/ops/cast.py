"""The last step of every merge, W = W0 + lambda * tau, as weights or as the bytes of a file.

Every way multiplies first and adds second, each rounded to fp32. (torch's add with `alpha` fuses
the two in some of its kernels only, so that the bits would depend on how tensors are laid out.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def apply_task_vector(
    base: Mapping[str, Tensor], tau: Mapping[str, Tensor], lam: float
) -> dict[str, Tensor]:
    """Return new weights, W0 + lam * tau.

    Args:
        base: All weights of the base; floating-point ones in fp32.
        tau: The task vector, for some or all of them, in the same shapes.
        lam: The factor lambda.

    Returns:
        {tensor: weights}; copies of the base's where tau has no entry or lam is 0.

    Raises:
        ValueError: For a tensor of tau that the base lacks.
    """
    _check_names(tau, base, "the base")
    return {
        name: (tau[name] * lam).add_(weight) if lam != 0 and name in tau else weight.clone()
        for name, weight in base.items()
    }


def apply_task_vector_(
    parameters: Mapping[str, Tensor],
    base: Mapping[str, Tensor],
    tau: Mapping[str, Tensor],
    lam: float,
) -> None:
    """Set the parameters of a model in memory to W0 + lam * tau, bit for bit `apply_task_vector`.

    Needs no further memory when all tensors are fp32 on one device.

    Args:
        parameters: `dict(model.named_parameters())`, where tied weights appear once; their former
            values are overwritten.
        base: All weights of the base.
        tau: The task vector, for some or all of the parameters.
        lam: The factor lambda.

    Raises:
        ValueError: For a parameter that the base lacks, or a tensor of tau that is not a parameter.
    """
    _check_names(tau, parameters, "the model")
    _check_names(parameters, base, "the base")
    for name, parameter in parameters.items():
        target, weight = parameter.detach(), base[name]  # shares memory, records no gradient
        if lam == 0 or name not in tau:
            target.copy_(weight)
        elif target.dtype == weight.dtype and target.device == weight.device:
            target.copy_(tau[name]).mul_(lam).add_(weight)
        else:
            target.copy_((tau[name] * lam).add_(weight))


def cast_output(
    tau: Tensor, lam: float, base: Tensor, dtype: str, use_kernels: bool = False
) -> tuple[memoryview | None, int, int]:
    """Return a block of the merged model as its file has it: W0 + lam * tau in `dtype`.

    Args:
        tau: fp32, 1-D.
        lam: The factor lambda; where it is 0, the base is written.
        base: fp32, 1-D, as long.
        dtype: "float32", "bfloat16" or "float16".
        use_kernels: Use the compiled kernel where there is one; the bits are the same.

    Returns:
        The bytes, or None where a number is not finite; the number of entries that lambda * tau
        updates; and how many of those are rounded away, so that the base's value stays. Both
        numbers are 0 for float32.
    """
    import torch

    if use_kernels and lam and dtype in ("bfloat16", "float32"):
        return _cast_numba(tau.contiguous(), lam, base, dtype)
    update = tau * lam
    merged = update + base if lam else base
    values = merged.to(getattr(torch, dtype))
    if not all(bound.isfinite() for bound in values.aminmax()):
        return None, 0, 0
    counts = (0, 0) if dtype == "float32" else count_rounded_away(update, values, base)
    return as_bytes(values), *counts


def _cast_numba(
    tau: Tensor, lam: float, base: Tensor, dtype: str
) -> tuple[memoryview | None, int, int]:
    """`cast_output` by a compiled kernel."""
    import numpy as np

    from mergescale.merging.ops.kernels.cast import to_bfloat16, to_float32

    factor, num_updated, num_rounded_away = np.float32(lam), 0, 0
    if dtype == "float32":
        values = np.empty(len(base), np.float32)
        overflows = to_float32(tau.numpy(), factor, base.numpy(), values)
    else:
        values = np.empty(len(base), np.uint16)
        overflows, num_updated, num_rounded_away = to_bfloat16(
            tau.numpy(), factor, base.numpy(), values
        )
    content = None if overflows else memoryview(values.view(np.uint8))
    return content, num_updated, num_rounded_away


def count_rounded_away(update: Tensor, values: Tensor, base: Tensor) -> tuple[int, int]:
    """Return how many entries of `update` are not 0, and how many of those `values` rounds away.

    Counted by numpy, whose comparisons and counts are several times faster than torch's.
    """
    import numpy as np

    updated = update.cpu().numpy() != 0
    same = values.float().cpu().numpy() == base.cpu().numpy()
    return int(np.count_nonzero(updated)), int(np.count_nonzero(updated & same))


def as_bytes(values: Tensor) -> memoryview:
    """Return the bytes of a tensor as a file has them."""
    import torch

    return memoryview(values.contiguous().cpu().view(torch.uint8).numpy())


def _check_names(names: Mapping, known: Mapping, owner: str) -> None:
    if unknown := sorted(names.keys() - known.keys()):
        raise ValueError(f"{owner} has no tensor {unknown[0]}")
