"""What a merging method declares: its name, its parameters with their ranges, and its formula.

Imports nothing heavy: the workflow reads these declarations each time it is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from mergescale.merging.statistics import ALL, FIRST, MagnitudeThreshold, TensorSum

LAMBDA = "lambda"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method: a number within [minimum, maximum], or one of `choices`.

    values: the default values; more than one are swept. A minimum that is itself not allowed is
    marked by `above_minimum`. A `fixed` parameter belongs to the definition of the method: the
    configuration may repeat its value but not change it. per_expert: a recipe may give an expert a
    value of its own, which `prepare` and `chunk.settings` then hold; others are common to all.
    unsaid: settings leave it out where it has its default, so that those from before there was this
    parameter are the same still, with their digests; formulas give it the same default.
    """

    name: str
    description: str
    values: tuple[Any, ...]
    minimum: float | None = None
    maximum: float | None = None
    above_minimum: bool = False
    choices: tuple[str, ...] = ()
    fixed: bool = False
    per_expert: bool = False
    omit_if_default: bool = False

    def allowed(self) -> str:
        """The allowed values in words."""
        if self.fixed:
            return f"only {self.values[0]}"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        start = "above" if self.above_minimum else "from"
        return f"a number {start} {self.minimum} to {self.maximum}"

    def with_default(self, *values: Any) -> Parameter:
        """The same parameter with other default values."""
        return replace(self, values=values)

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
        raise ValueError(f"{self.name} is {as_given(value)}, allowed is {self.allowed()}")


@dataclass(frozen=True)
class Method:
    """A merging method: W = W0 + lambda * tau, where `reduce` says what tau is.

    name: the file's name. title: the name in figures and tables. parameters: whatever can be set,
    lambda among them.

    reduce: the formula. It gets a `Chunk` (some elements of one tensor, of every expert) and the
    parameters by name, and returns tau there, or the `Election` that gives it. It is called on
    pieces of any size, so it may look at nothing beyond the chunk but the statistics that it asked
    for.
    prepare: which statistics `reduce` needs, {name: `Threshold` or `Sum`}; it gets the parameters
    of one expert. Thresholds arrive as `chunk.of_experts(name)`, one for each expert, sums as
    `chunk.of_tensor(name)`.
    experts: how many experts it takes at least and at most.
    weighted: whether the experts' weights enter the formula.
    normalized: whether it divides by their sum.
    extras: further outputs beside tau: names of boolean masks, of the shape of each tensor, which
    `reduce` returns in a mapping after tau; from the names of the experts.
    record: what merge.json tells beside the recipe, from the names of the experts and {name: sum
    over the whole model} of what `prepare` asked for.
    """

    name: str
    title: str
    reduce: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    prepare: Callable[..., dict[str, MagnitudeThreshold | TensorSum]] | None = None
    stochastic: bool = False
    experts: tuple[int, int | None] = (1, None)
    weighted: bool = True
    normalized: bool = False
    extras: Callable[[Sequence[str]], list[str]] | None = None
    record: Callable[[Sequence[str], Mapping[str, Any]], dict[str, Any]] | None = None

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
        return self._said(chosen)

    def checked(self, name: str, value: Any) -> Any:
        """One value of a parameter in canonical form; ValueError for none or one not allowed."""
        return self._checked(self.parameter(name), value)

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
        return [
            self._said(dict(zip(axes, point, strict=True))) for point in product(*axes.values())
        ]

    def lambdas(self, settings: Mapping[str, Any] | None = None) -> list[float]:
        """The values of lambda to try with each tau; settings as in `sweep`."""
        return self._values(self.parameter(LAMBDA), settings or {})

    def checked_lambda(self, lam: float | None) -> float:
        """One value of lambda in canonical form; ValueError for none or one not allowed."""
        if lam is None:
            raise ValueError(f"{self.name} needs {LAMBDA}: {self.parameter(LAMBDA).allowed()}")
        return self._checked(self.parameter(LAMBDA), lam)

    def tau(
        self,
        task_vectors: Mapping[str, Mapping[str, Any]],
        seed: int | None = None,
        base: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        """The merged task vector of experts in memory: see `in_memory.merged_task_vector`."""
        from mergescale.merging.in_memory import merged_task_vector

        return merged_task_vector(self, task_vectors, base=base, seed=seed, **settings)

    def statistics(self, settings: Mapping[str, Any]) -> dict[str, MagnitudeThreshold | TensorSum]:
        """What `reduce` needs to know of an expert with these parameters before it starts."""
        return self.prepare(**settings) if self.prepare else {}

    def check_experts(self, number: int) -> None:
        """Raises ValueError unless the method takes so many experts."""
        least, most = self.experts
        if number < least or (most is not None and number > most):
            allowed = f"{least}" if least == most else f"{least} or more"
            raise ValueError(f"{self.name} merges {allowed} experts, not {number}")

    def check_weights(self, weights: Sequence[float]) -> None:
        """Raises ValueError for weights that cancel out where the formula divides by their sum."""
        if self.normalized and abs(sum(weights)) <= 1e-6 * sum(map(abs, weights)):
            raise ValueError(f"{self.name} divides by the sum of the weights, which is 0")

    def _values(self, parameter: Parameter, settings: Mapping[str, Any]) -> list[Any]:
        given = settings.get(parameter.name, parameter.values)
        if not isinstance(given, Sequence) or isinstance(given, str):
            given = [given]
        if not given:
            raise ValueError(f"{self.name}: {parameter.name} has no value")
        # Values given twice are one point of the sweep.
        return list(dict.fromkeys(self._checked(parameter, value) for value in given))

    def _said(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Without parameters that are `omit_if_default` and have their default."""
        of = {parameter.name: parameter for parameter in self.parameters}
        return {
            name: value
            for name, value in settings.items()
            if not (of[name].omit_if_default and value == of[name].values[0])
        }

    def _checked(self, parameter: Parameter, value: Any) -> Any:
        try:
            return parameter.canonical(value)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None


def as_given(value: Any) -> str:
    """A value in a message, with a word on numbers that YAML took for text, such as 1e-3."""
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        number = None
    return repr(value) if number is None else f"the text {value!r}, not a number (write {number})"


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
    per_expert=True,
)
TRIM_SCOPE = Parameter(
    "trim_scope",
    "trim to the largest magnitudes of the whole model or of each tensor",
    values=("model",),
    choices=("model", "tensor"),
    per_expert=True,
)
AGGREGATE = Parameter(
    "aggregate",
    "the mean of the entries that agree with the elected sign, or their sum",
    values=("mean",),
    choices=("mean", "sum"),
)
ROUNDING = Parameter(
    "rounding",
    "how the share `density` becomes a number of entries",
    values=("up",),
    choices=("up", "down", "at_least_one"),
    per_expert=True,
)
AT_THRESHOLD = Parameter(
    "at_threshold",
    "which entries are kept that tie with the threshold: all, or the first, to just `density`",
    values=(ALL,),
    choices=(ALL, FIRST),
    per_expert=True,
    omit_if_default=True,
)
