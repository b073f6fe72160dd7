"""The last step of every merge, W = W0 + lambda * tau: as new weights, or into a resident model.

Both ways multiply first and add second, each rounded to fp32. (torch's add with `alpha` fuses the
two in some of its loops only, so that the bits would depend on how tensors are laid out.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def merge(base: Mapping[str, Tensor], tau: Mapping[str, Tensor], lam: float) -> dict[str, Tensor]:
    """New weights W0 + lam * tau; a copy of the base's where tau has no entry or lam is 0.

    base: all weights, floating-point ones in fp32. tau: entries for some of them, same shapes.
    Raises ValueError for a tensor of tau that the base lacks.
    """
    _check_names(tau, base, "the base")
    return {
        name: (tau[name] * lam).add_(weight) if lam != 0 and name in tau else weight.clone()
        for name, weight in base.items()
    }


def apply_(
    parameters: Mapping[str, Tensor],
    base: Mapping[str, Tensor],
    tau: Mapping[str, Tensor],
    lam: float,
) -> None:
    """Sets the parameters of a model in memory to W0 + lam * tau, bit for bit those of `merge`.

    parameters: dict(model.named_parameters()), where tied weights appear once; any former values
    are overwritten. No memory is needed beside them when all are fp32 on one device. Raises
    ValueError for a parameter that the base lacks, or a tensor of tau that is no parameter.
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


def _check_names(names: Mapping, known: Mapping, owner: str) -> None:
    if unknown := sorted(names.keys() - known.keys()):
        raise ValueError(f"{owner} has no tensor {unknown[0]}")
