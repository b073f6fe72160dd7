"""One merged model that the engine is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mergescale.merging.method import Method
from mergescale.merging.statistics import Statistic


@dataclass(frozen=True)
class Merge:
    """One merged model: how it is made, and where it goes.

    Attributes:
        folder: the new folder.
        method: a method of the registry.
        experts: names of its experts.
        lam: lambda.
        parameters: the method's parameters but lambda, complete.
        own: {expert: parameters that it has of its own}.
        weights: {expert: factor}; 1 for those that are not named.
        seed: of methods that draw at random.
        dtype: of the output: float32, bfloat16 or float16.
        shard_bytes: most bytes in one file.
    """

    folder: Path
    method: Method
    experts: tuple[str, ...]
    lam: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    dtype: str = "float32"
    shard_bytes: int = 5_000_000_000

    @cached_property
    def settings(self) -> list[dict[str, Any]]:
        """Each expert's parameters."""
        return [{**self.parameters, **self.own.get(expert, {})} for expert in self.experts]

    @cached_property
    def statistics(self) -> list[dict[str, Statistic]]:
        """What the method asks of each expert."""
        return [self.method.required_statistics(settings) for settings in self.settings]

    @cached_property
    def tau_key(self) -> str:
        """What decides tau: two merges that differ in lambda or dtype only share it."""
        return json.dumps(
            [
                self.method.name,
                self.experts,
                self.settings,
                [self.weights.get(expert, 1.0) for expert in self.experts],
                self.seed,
            ],
            sort_keys=True,
        )
