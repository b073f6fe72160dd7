"""Exact magnitude thresholds: which entries of a task vector are its largest ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def kept_count(elements: int, density: float) -> int:
    """How many of `elements` the share `density` means: rounded up, hence at least one of any.

    The density is taken as the decimal it is written as: 0.1 of 30 is 3, in binary or not.
    """
    return ceil(Fraction(str(density)) * elements)


def magnitude_threshold(tensors: Iterable[Tensor], density: float) -> float:
    """The kept_count-th largest magnitude over all `tensors` together.

    Keeping every entry at or above it keeps that many entries, and more only where several tie
    with the last one. 0.0 if there is no element. Raises ValueError unless 0 < density <= 1.
    """
    import torch

    if not 0 < density <= 1:
        raise ValueError(f"density is {density}, allowed is a number above 0 to 1")
    magnitudes = torch.cat([tensor.reshape(-1) for tensor in tensors]).abs_()
    keep = kept_count(magnitudes.numel(), density)
    if keep == magnitudes.numel():  # everything is kept, whatever the smallest magnitude
        return 0.0
    return magnitudes.kthvalue(magnitudes.numel() - keep + 1).values.item()


def thresholds(task_vector: Mapping[str, Tensor], density: float, scope: str) -> dict[str, float]:
    """The threshold of every tensor: one for the whole model, or (scope "tensor") one for each.

    Tied weights appear once in a task vector and so count once.
    """
    if scope == "tensor":
        return {name: magnitude_threshold([delta], density) for name, delta in task_vector.items()}
    return dict.fromkeys(task_vector, magnitude_threshold(task_vector.values(), density))


def trim(delta: Tensor, threshold: float) -> Tensor:
    """`delta` with every entry of a magnitude below the threshold set to 0."""
    return delta * (delta.abs() >= threshold)
