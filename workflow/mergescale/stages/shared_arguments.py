"""Arguments that several stages share, as dataclasses to nest in a stage's own `Arguments`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from mergescale.argument_types import Category, Positive


@dataclass(frozen=True)
class CategoryArguments:
    """Categories with their tasks."""

    held_in: Annotated[list[Category], "held-in categories and their tasks"] = field(
        default_factory=list
    )
    held_out: Annotated[list[Category], "held-out categories and their tasks"] = field(
        default_factory=list
    )


@dataclass(frozen=True)
class ComputeArguments:
    """What a stage computes on."""

    threads: Annotated[Positive, "CPU threads; processes that train on one node share them"] = 1
    device: Annotated[
        Literal["auto", "cpu", "cuda"], "device to compute on; auto takes a GPU if there is one"
    ] = "auto"
