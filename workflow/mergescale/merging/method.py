"""What a merging method declares: its name, its parameters with their ranges, and its formula.

Imports nothing heavy: the workflow reads these declarations each time it is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, get_args

from mergescale.merging.statistics import ALL, FIRST, Statistic, StatisticsFile

if TYPE_CHECKING:
    from torch import Tensor

    from mergescale.merging.delta_block import DeltaBlock
    from mergescale.merging.in_memory import MergedTaskVector

LAMBDA = "lambda"
Granularity = Literal["elements", "matrix"]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method: a number in [minimum, maximum], or one of `choices`.

    Attributes:
        name: Its key in configurations and recipes.
        description: What it does, in a few words.
        values: The default values; more than one are swept.
        minimum: The smallest number that is allowed.
        maximum: The largest.
        above_minimum: Whether the minimum itself is not allowed.
        choices: The texts that are allowed, for a parameter that is not a number.
        fixed: Whether its value is part of the method's definition: a configuration may repeat it
            but not change it.
        per_expert: Whether a recipe may give an expert its own value, which `Method.requires` and
            `block.parameters` then have; other parameters are common to all experts.
        omit_if_default: Whether canonical parameters leave it out where it has its default value,
            so that digests from before the parameter was added stay the same.
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
        """Return which values are allowed, to follow "must be"."""
        if self.fixed:
            return f"{self.values[0]}"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        return f"in {'(' if self.above_minimum else '['}{self.minimum}, {self.maximum}]"

    def with_default(self, *values: Any) -> Parameter:
        """Return the same parameter with other default values."""
        return replace(self, values=values)

    def canonical(self, value: Any) -> Any:
        """Return `value` as it enters a merge: a float of ten digits (0.1 * 3 is 0.3), or a choice.

        Raises:
            ValueError: For a value that is not allowed.
        """
        if self.choices:
            if isinstance(value, str) and value in self.choices:
                return value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = float(f"{value:.10g}") + 0.0  # + 0.0 makes -0.0 an ordinary zero
            above = number > self.minimum or (number == self.minimum and not self.above_minimum)
            if above and number <= self.maximum and (not self.fixed or number in self.values):
                return number
        raise ValueError(f"{self.name} is {quote(value)}, must be {self.allowed()}")


@dataclass(frozen=True)
class Method:
    """A merging method: W = W0 + lambda * tau, where `merge` computes tau.

    Attributes:
        name: The file's name.
        title: The name in figures and tables.
        merge: The formula, `merge(block, ...)` with the parameters that it names. Gets a
            `DeltaBlock` and returns tau there: fp32, 1-D, as long as the block; or the `Election`
            that computes it; or either with a mapping of masks. With granularity "elements" it is
            called on blocks of any size, so it may use nothing beyond the block but
            `block.statistics`.
        parameters: Whatever can be set, lambda among them.
        requires: Which statistics `merge` needs, `requires(...)` with the parameters that it names:
            {name: `MagnitudeThreshold`, `TensorSum` or `StatisticsFile`}. It is called with each
            expert's own parameters.
        granularity: How much `merge` has to see at once: "elements", any block of a tensor; or
            "matrix", a whole tensor.
        stochastic: Whether it draws random numbers, and so needs a seed.
        experts: The least and the greatest number of experts; None for no upper limit.
        weighted: Whether the experts' weights enter the formula.
        normalized: Whether it divides by their sum.
        masks: Names of boolean masks of each tensor's shape, from the names of the experts; `merge`
            returns them in a mapping after tau.
        record: What merge.json has beside the recipe, from the names of the experts and
            {name: sum over the whole model} of each `TensorSum` that `requires` names.
        task_delta: For methods that are evaluated with other weights on each task: from a
            `MergedTaskVector` and the name of an expert to what is added to the base on that
            expert's tasks, {tensor: fp32 Tensor}. None for one static set of weights.
    """

    name: str
    title: str
    merge: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    requires: Callable[..., dict[str, Statistic]] | None = None
    granularity: Granularity = "elements"
    stochastic: bool = False
    experts: tuple[int, int | None] = (1, None)
    weighted: bool = True
    normalized: bool = False
    masks: Callable[[Sequence[str]], list[str]] | None = None
    record: Callable[[Sequence[str], Mapping[str, Any]], dict[str, Any]] | None = None
    task_delta: Callable[[MergedTaskVector, str], dict[str, Tensor]] | None = None

    def __post_init__(self) -> None:
        """Check granularity and the names that the formula takes.

        Raises:
            ValueError: For an unknown granularity, or an argument that is not a parameter.
        """
        if self.granularity not in (allowed := get_args(Granularity)):
            raise ValueError(
                f"{self.name}: granularity is {self.granularity!r}, must be one of "
                f"{', '.join(allowed)}"
            )
        for function, first in ((self.merge, 1), (self.requires, 0)):
            for argument in _arguments(function)[first:] if function else ():
                self.parameter(argument)

    def parameter(self, name: str) -> Parameter:
        """Return the parameter called `name`.

        Raises:
            ValueError: With a list of the method's parameters, for any other name.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        known = ", ".join(parameter.name for parameter in self.parameters)
        raise ValueError(f"{self.name} has no parameter {name!r}; its parameters: {known}")

    @property
    def sweeps_lambda(self) -> bool:
        """Whether lambda is free; otherwise its one value is part of the method's definition."""
        return not self.parameter(LAMBDA).fixed

    def canonical(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return one checked value of every parameter but lambda; defaults where none is given.

        Raises:
            ValueError: For an unknown parameter, a value that is not allowed, and a missing value
                of a parameter that is swept by default.
        """
        for name in parameters:
            if name != LAMBDA:
                self.parameter(name)
        values = {}
        for parameter in self.parameters:
            if parameter.name == LAMBDA:
                continue
            if parameter.name not in parameters and len(parameter.values) > 1:
                raise ValueError(
                    f"{self.name} needs {parameter.name}, which must be {parameter.allowed()}"
                )
            value = parameters.get(parameter.name, parameter.values[0])
            values[parameter.name] = self._checked(parameter, value)
        return self._drop_defaults(values)

    def checked(self, name: str, value: Any) -> Any:
        """Return one value of the parameter called `name` in canonical form.

        Raises:
            ValueError: For an unknown parameter, or a value that is not allowed.
        """
        return self._checked(self.parameter(name), value)

    def sweep(self, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return every combination of parameters that needs a tau of its own (all but lambda).

        Args:
            parameters: {name: value or list of values}, as in the configuration; defaults fill the
                rest.

        Raises:
            ValueError: For an unknown parameter, or a value that is not allowed.
        """
        parameters = parameters or {}
        for name in parameters:
            self.parameter(name)
        axes = {
            parameter.name: self._values(parameter, parameters)
            for parameter in self.parameters
            if parameter.name != LAMBDA
        }
        return [
            self._drop_defaults(dict(zip(axes, point, strict=True)))
            for point in product(*axes.values())
        ]

    def lambdas(self, parameters: Mapping[str, Any] | None = None) -> list[float]:
        """Return the values of lambda to try with each tau; arguments and errors as of `sweep`."""
        return self._values(self.parameter(LAMBDA), parameters or {})

    def checked_lambda(self, lam: float | None) -> float:
        """Return one value of lambda in canonical form.

        Raises:
            ValueError: For None, or a value that is not allowed.
        """
        if lam is None:
            allowed = self.parameter(LAMBDA).allowed()
            raise ValueError(f"{self.name} needs {LAMBDA}, which must be {allowed}")
        return self._checked(self.parameter(LAMBDA), lam)

    def tau(self, task_vectors: Mapping[str, Mapping[str, Any]], **options: Any) -> dict[str, Any]:
        """Return the merged task vector of experts in memory, {tensor: fp32 Tensor}.

        Arguments and errors as of `in_memory.merge_task_vectors`.
        """
        return self.merge_task_vectors(task_vectors, **options).tau

    def merge_task_vectors(
        self, task_vectors: Mapping[str, Mapping[str, Any]], **options: Any
    ) -> MergedTaskVector:
        """Merge experts in memory: see `in_memory.merge_task_vectors`."""
        from mergescale.merging.in_memory import merge_task_vectors

        return merge_task_vectors(self, task_vectors, **options)

    def merge_block(self, block: DeltaBlock, parameters: Mapping[str, Any]) -> Any:
        """Return what `merge` makes of a block that has its statistics.

        Args:
            block: The deltas.
            parameters: The parameters that are common to all experts, as they apply to this tensor.

        Raises:
            ValueError: `merge` returned a tuple of something else than a tensor and masks.
        """
        result = self.merge(block, **self._named(self.merge, parameters))
        tau = result[0] if isinstance(result, tuple) and len(result) == 2 else result
        if isinstance(result, tuple) and (tau is result or not isinstance(result[1], Mapping)):
            raise ValueError(
                f"{self.name}: merge returned a {type(result).__name__}, not a tensor, nor a "
                "tensor with a mapping of masks"
            )
        return result

    def required_statistics(self, parameters: Mapping[str, Any]) -> dict[str, Statistic]:
        """Return {name: statistic} that `merge` needs of an expert with these parameters."""
        if not self.requires:
            return {}
        return self.requires(**self._named(self.requires, parameters))

    def statistics_files(self, parameters: Mapping[str, Any]) -> list[str]:
        """Return the kinds of statistics files that `merge` needs of each expert, sorted."""
        needed = self.required_statistics(parameters).values()
        return sorted({one.kind for one in needed if isinstance(one, StatisticsFile)})

    def check_experts(self, number: int) -> None:
        """Raise ValueError unless the method merges this number of experts."""
        minimum, maximum = self.experts
        if number < minimum or (maximum is not None and number > maximum):
            allowed = f"{minimum}" if minimum == maximum else f"{minimum} or more"
            raise ValueError(f"{self.name} merges {allowed} experts, not {number}")

    def check_weights(self, weights: Sequence[float]) -> None:
        """Raise ValueError for weights that cancel out where the formula divides by their sum."""
        if self.normalized and abs(sum(weights)) <= 1e-6 * sum(map(abs, weights)):
            raise ValueError(f"{self.name} divides by the sum of the weights, which is 0")

    def omitted_defaults(self) -> dict[str, Any]:
        """Return {name: default} of the parameters that canonical parameters may leave out."""
        return {
            parameter.name: parameter.values[0]
            for parameter in self.parameters
            if parameter.omit_if_default
        }

    def _named(self, function: Callable, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the parameters that a function names, with defaults that were omitted."""
        values = self.omitted_defaults() | dict(parameters)
        return {name: values[name] for name in _arguments(function) if name in values}

    def _values(self, parameter: Parameter, parameters: Mapping[str, Any]) -> list[Any]:
        given = parameters.get(parameter.name, parameter.values)
        if not isinstance(given, Sequence) or isinstance(given, str):
            given = [given]
        if not given:
            raise ValueError(f"{self.name}: {parameter.name} has no value")
        # Values that are given twice are one point of the sweep.
        return list(dict.fromkeys(self._checked(parameter, value) for value in given))

    def _drop_defaults(self, values: dict[str, Any]) -> dict[str, Any]:
        """Without parameters that are `omit_if_default` and have their default."""
        by_name = {parameter.name: parameter for parameter in self.parameters}
        return {
            name: value
            for name, value in values.items()
            if not (by_name[name].omit_if_default and value == by_name[name].values[0])
        }

    def _checked(self, parameter: Parameter, value: Any) -> Any:
        try:
            return parameter.canonical(value)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None


@cache
def _arguments(function: Callable) -> tuple[str, ...]:
    """The names of a function's arguments."""
    from inspect import signature

    return tuple(signature(function).parameters)


def quote(value: Any) -> str:
    """Return a value as messages print it; numbers that YAML read as text, such as 1e-3, say so."""
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
    "fraction of each task vector that is kept; 0.2 is '80 % pruned'",
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
    "how the fraction `density` becomes a number of entries",
    values=("up",),
    choices=("up", "down", "at_least_one"),
    per_expert=True,
)
TIES = Parameter(
    "ties",
    "which entries that tie with the threshold are kept: all, or the first, up to `density`",
    values=(ALL,),
    choices=(ALL, FIRST),
    per_expert=True,
    omit_if_default=True,
)
