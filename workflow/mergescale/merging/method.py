"""What a merging method declares: its name, its parameters with their ranges, and its formula.

Imports nothing heavy: the workflow reads these declarations each time it is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

LAMBDA = "lambda"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method: a number within [minimum, maximum], or one of `choices`.

    values: the default values; more than one are swept. A minimum that is itself not allowed is
    marked by `above_minimum`. A `fixed` parameter belongs to the definition of the method: the
    configuration may repeat its value but not change it.
    """

    name: str
    description: str
    values: tuple[Any, ...]
    minimum: float | None = None
    maximum: float | None = None
    above_minimum: bool = False
    choices: tuple[str, ...] = ()
    fixed: bool = False

    def allowed(self) -> str:
        """The allowed values in words."""
        if self.fixed:
            return f"only {self.values[0]}"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        start = "above" if self.above_minimum else "from"
        return f"a number {start} {self.minimum} to {self.maximum}"

    def canonical(self, value: Any) -> Any:
        """`value` as it enters a merge: a float of ten digits (0.1 * 3 becomes 0.3), or a choice.

        Raises ValueError, saying what is allowed, for any other value.
        """
        if self.choices:
            if isinstance(value, str) and value in self.choices:
                return value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = float(f"{value:.10g}") + 0.0  # + 0.0 makes -0.0 an ordinary zero
            above = number > self.minimum or (number == self.minimum and not self.above_minimum)
            if above and number <= self.maximum and (not self.fixed or number in self.values):
                return number
        raise ValueError(f"{self.name} is {value!r}, allowed is {self.allowed()}")


@dataclass(frozen=True)
class Method:
    """A merging method: W = W0 + lambda * tau with tau = combine(task_vectors, **parameters).

    name: the file's name. title: the name in figures and tables. combine: the formula for tau,
    from {expert: {tensor: W_i - W0}}; a stochastic one also takes `seed`. parameters: whatever
    can be set, lambda among them.
    """

    name: str
    title: str
    combine: Callable[..., dict[str, Any]]
    parameters: tuple[Parameter, ...]
    stochastic: bool = False

    def parameter(self, name: str) -> Parameter:
        """The parameter called `name`; ValueError listing the known ones if there is none."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        known = ", ".join(parameter.name for parameter in self.parameters)
        raise ValueError(f"{self.name} has no parameter {name!r}; its parameters: {known}")

    @property
    def sweeps_lambda(self) -> bool:
        """Whether lambda is free; otherwise its one value is part of the method's definition."""
        return not self.parameter(LAMBDA).fixed

    def canonical(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter but lambda with one checked value; defaults where `settings` has none.

        A parameter whose default is a sweep must be given a value. Raises ValueError.
        """
        for name in settings:
            if name != LAMBDA:
                self.parameter(name)
        chosen = {}
        for parameter in self.parameters:
            if parameter.name == LAMBDA:
                continue
            if parameter.name not in settings and len(parameter.values) > 1:
                raise ValueError(f"{self.name} needs {parameter.name}: {parameter.allowed()}")
            value = settings.get(parameter.name, parameter.values[0])
            chosen[parameter.name] = self._checked(parameter, value)
        return chosen

    def sweep(self, settings: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Every combination of parameters that needs a tau of its own (all but lambda).

        settings: {parameter: value or list of values}, as in the configuration; defaults fill the
        rest. Raises ValueError for an unknown parameter or a value outside its range.
        """
        settings = settings or {}
        for name in settings:
            self.parameter(name)
        axes = {
            parameter.name: self._values(parameter, settings)
            for parameter in self.parameters
            if parameter.name != LAMBDA
        }
        return [dict(zip(axes, point, strict=True)) for point in product(*axes.values())]

    def lambdas(self, settings: Mapping[str, Any] | None = None) -> list[float]:
        """The values of lambda to try with each tau; settings as in `sweep`."""
        return self._values(self.parameter(LAMBDA), settings or {})

    def checked_lambda(self, lam: float) -> float:
        """One value of lambda in canonical form; ValueError if it is not allowed."""
        return self._checked(self.parameter(LAMBDA), lam)

    def tau(
        self,
        task_vectors: Mapping[str, Mapping[str, Any]],
        seed: int | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        """The merged task vector {tensor: Tensor}, of which lambda times is added to the base.

        Expert and tensor names, not their order, decide the result. Raises ValueError for bad
        parameters, for no expert, and for a stochastic method without a seed.
        """
        parameters = self.canonical(settings)
        if self.stochastic:
            if seed is None:
                raise ValueError(f"{self.name} draws at random and needs a seed")
            parameters["seed"] = seed
        return self.combine(task_vectors, **parameters)

    def _values(self, parameter: Parameter, settings: Mapping[str, Any]) -> list[Any]:
        given = settings.get(parameter.name, parameter.values)
        if not isinstance(given, Sequence) or isinstance(given, str):
            given = [given]
        if not given:
            raise ValueError(f"{self.name}: {parameter.name} has no value")
        # Values given twice are one point of the sweep.
        return list(dict.fromkeys(self._checked(parameter, value) for value in given))

    def _checked(self, parameter: Parameter, value: Any) -> Any:
        try:
            return parameter.canonical(value)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None


SWEPT_LAMBDA = Parameter(
    LAMBDA,
    "factor of the merged task vector",
    values=tuple(step / 10 for step in range(11)),
    minimum=0,
    maximum=1,
)
FIXED_LAMBDA = Parameter(
    LAMBDA, "part of the definition: not swept", values=(1.0,), minimum=1, maximum=1, fixed=True
)
DENSITY = Parameter(
    "density",
    "share of each task vector that is kept; 0.2 is '80 % pruned'",
    values=(0.2, 0.1),
    minimum=0,
    maximum=1,
    above_minimum=True,
)
