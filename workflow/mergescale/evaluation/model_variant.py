"""Model variants: what is evaluated, one set of weights or weights that depend on the task.

Most merges are one set of weights. Others are a function of the task: EMR-Merging gives each
expert's tasks the merged vector under that expert's mask. The evaluator asks a `ModelVariant` for
the weights of each category of tasks and reuses cached results by their cache key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from transformers.modeling_utils import PreTrainedModel

from mergescale.checkpoints.folder import read_weights
from mergescale.evaluation.task_groups import Category
from mergescale.merging.merge_identity import weights_digest


class ModelVariant(Protocol):
    """A model as a function of the task's category."""

    def cache_key(self, category: Category) -> str:
        """Digest of the weights, or of the recipe that gives them; equal for equal weights."""
        ...

    def load_weights(self, model: PreTrainedModel, category: Category) -> None:
        """Write the weights into a model of the same architecture."""
        ...


@dataclass(frozen=True)
class StaticVariant:
    """One set of weights for all tasks.

    Attributes:
        key: digest of the weights, or of the recipe that gives them.
        load: writes the weights into a model.
    """

    key: str
    load: Callable[[PreTrainedModel], None]

    @classmethod
    def of_folder(cls, folder: Path) -> StaticVariant:
        """The weights of a model folder."""

        def load(model: PreTrainedModel) -> None:
            load_weights(model, read_weights(folder), str(folder))

        return cls(weights_digest(folder), load)

    def cache_key(self, category: Category) -> str:
        return self.key

    def load_weights(self, model: PreTrainedModel, category: Category) -> None:
        self.load(model)


@dataclass(frozen=True)
class TaskVariant:
    """Weights that depend on the category of the task.

    Attributes:
        by_category: {category: its weights}.
        default: the weights for other categories.
    """

    by_category: Mapping[str, StaticVariant]
    default: StaticVariant

    def cache_key(self, category: Category) -> str:
        return self._of(category).key

    def load_weights(self, model: PreTrainedModel, category: Category) -> None:
        self._of(category).load(model)

    def _of(self, category: Category) -> StaticVariant:
        return self.by_category.get(category.name, self.default)


def load_weights(
    model: PreTrainedModel, weights: Mapping[str, torch.Tensor], label: str = "the other model"
) -> None:
    """Copy weights of the same architecture into a model.

    Args:
        model: the model, whose parameters are overwritten.
        weights: {name: tensor}; cast to the parameters' dtypes.
        label: what messages call the weights.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape; the message names it.
    """
    parameters = dict(model.named_parameters())
    known = parameters.keys() | dict(model.named_buffers()).keys()
    if odd := sorted((parameters.keys() - weights.keys()) | (weights.keys() - known)):
        raise ValueError(f"tensor {odd[0]} is in only one of {label} and the base")
    for name, parameter in parameters.items():
        if parameter.shape != weights[name].shape:
            raise ValueError(
                f"{label}: tensor {name} has shape {tuple(weights[name].shape)}, "
                f"but {tuple(parameter.shape)} in the base"
            )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
