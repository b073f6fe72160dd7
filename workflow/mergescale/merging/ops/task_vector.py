"""Task vectors: what fine-tuning changed, tau_i = W_i - W0, as {tensor name: fp32 Tensor}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def task_vector(
    expert: Mapping[str, Tensor],
    base: Mapping[str, Tensor],
    label: str = "the expert",
    base_label: str = "the base",
) -> dict[str, Tensor]:
    """Return W_i - W0 in fp32 for every floating-point tensor.

    Integer tensors are left out, so that a merge has the base's.

    Args:
        expert: The expert's weights.
        base: The base's weights.
        label: What messages call the expert, such as its name and folder.
        base_label: What messages call the base.

    Raises:
        ValueError: For a missing or extra tensor, another shape or kind, and NaN or infinity.
    """
    check_same_tensors(expert, base, label, base_label)
    delta = {}
    for name, weight in base.items():
        if not weight.is_floating_point():
            continue
        delta[name] = expert[name].float() - weight.float()
        # The difference is finite only if both operands are; which one is not matters only then.
        if not delta[name].isfinite().all():
            for owner, tensor in ((base_label, weight), (label, expert[name])):
                if not tensor.isfinite().all():
                    raise ValueError(f"{owner}: tensor {name} has NaN or infinity")
            raise ValueError(f"{label}: tensor {name} minus that of {base_label} overflows fp32")
    return delta


def check_same_tensors(
    expert: Mapping[str, Tensor], base: Mapping[str, Tensor], label: str, base_label: str
) -> None:
    """Check that both models have the same tensors.

    Raises:
        ValueError: With the tensor's name, where one lacks it or its shape or kind differs.
    """
    if missing := sorted(base.keys() - expert.keys()):
        raise ValueError(f"{label} lacks {_listed(missing)}, which {base_label} has")
    if extra := sorted(expert.keys() - base.keys()):
        raise ValueError(f"{label} has {_listed(extra)}, which {base_label} lacks")
    for name, weight in base.items():
        if expert[name].shape != weight.shape:
            raise ValueError(
                f"{label}: tensor {name} has shape {tuple(expert[name].shape)}, "
                f"but {tuple(weight.shape)} in {base_label}"
            )
        if expert[name].is_floating_point() != weight.is_floating_point():
            raise ValueError(
                f"{label}: tensor {name} is {expert[name].dtype}, "
                f"but {weight.dtype} in {base_label}"
            )


def by_tensor(
    task_vectors: Mapping[str, Mapping[str, Tensor]],
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield (tensor name, {expert: its task vector there}) for each tensor.

    Experts are sorted by name, so that floating-point sums over them do not depend on the order in
    which they were given.

    Raises:
        ValueError: For no expert, or experts with different tensors.
    """
    if not task_vectors:
        raise ValueError("there is no expert to merge")
    experts = sorted(task_vectors)
    first = task_vectors[experts[0]]
    for expert in experts[1:]:
        check_same_tensors(task_vectors[expert], first, expert, experts[0])
    for tensor in first:
        yield tensor, {expert: task_vectors[expert][tensor] for expert in experts}


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"tensor{'s' if len(names) > 1 else ''} {', '.join(names[:3])}{more}"
