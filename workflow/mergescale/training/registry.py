"""Finds objectives and optimizers: each is a file, and its name is what the configuration says.

A file of `training/objectives/` defines the functions of `Objective`, a file of
`training/optimizers/` those of `OptimizerModule`. Names are read from the folders without importing
the files, so that the workflow may check a configuration without torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol, cast

from mergescale.messages import suggest
from mergescale.plugins import load_plugin
from mergescale.training import objectives, optimizers

if TYPE_CHECKING:
    import torch

    from mergescale.training.batches import Batch


class Objective(Protocol):
    """What training minimizes."""

    def label_tokens(self, prompt: list[int], answer: list[int]) -> list[int]:
        """Choose the tokens of a row that have a loss.

        Args:
            prompt: token ids, the begin token first; empty for a row of a pre-training corpus.
            answer: token ids of the answer and the end token, or of a whole row of a corpus.

        Returns:
            Labels of the row's last tokens, at most of all but its first: token ids, or
            `batches.IGNORE` for those without a loss.
        """
        ...

    def compute_loss(self, model: torch.nn.Module, batch: Batch, num_labels: int) -> torch.Tensor:
        """Compute the loss of a batch, a scalar with gradient.

        Args:
            model: a causal language model of transformers.
            batch: some or all rows of a step; it may have no label at all.
            num_labels: labels of the whole step. The losses of its batches are added up, so a mean
                over tokens is the sum over the batch's tokens divided by this.
        """
        ...


class OptimizerModule(Protocol):
    """What updates the weights."""

    def build(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        learning_rate: float,
        weight_decay: float,
        sharded: bool,
    ) -> torch.optim.Optimizer:
        """Make the optimizer of a model's parameters.

        Args:
            parameters: all parameters of the model.
            learning_rate: peak of the schedule.
            weight_decay: decoupled weight decay.
            sharded: whether the parameters are DTensors, sharded over processes. The optimizer must
                then give the `state_dict` of one on whole parameters, as `FullStateMixin` does.
        """
        ...


def objective_names() -> list[str]:
    """The names of all objectives, sorted."""
    return sorted(module.name for module in iter_modules(objectives.__path__))


def optimizer_names() -> list[str]:
    """The names of all optimizers, sorted."""
    return sorted(module.name for module in iter_modules(optimizers.__path__))


def check_objective(name: str) -> None:
    """Raise ValueError unless there is an objective of this name."""
    _check("objective", name, objective_names())


def check_optimizer(name: str) -> None:
    """Raise ValueError unless there is an optimizer of this name."""
    _check("optimizer", name, optimizer_names())


def get_objective(name: str) -> Objective:
    """Import an objective.

    Raises:
        ValueError: there is none of this name; the message lists those that there are.
    """
    check_objective(name)
    return cast(Objective, load_plugin(objectives.__name__, name))


def get_optimizer(name: str) -> OptimizerModule:
    """Import an optimizer's module.

    Raises:
        ValueError: there is none of this name; the message lists those that there are.
    """
    check_optimizer(name)
    return cast(OptimizerModule, load_plugin(optimizers.__name__, name))


def _check(kind: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise ValueError(f"{name!r} is not an {kind}; {suggest(name, known)}")
