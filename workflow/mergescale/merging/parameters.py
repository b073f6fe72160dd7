"""Parameters whose value depends on the tensor: rules by pattern of the tensor's name.

A recipe gives them as a list, of which the first rule that matches a tensor decides:

    density: [{filter: "*.mlp.*", value: 0.3}, {value: 0.5}]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

ANY = "*"


@dataclass(frozen=True)
class TensorParameter:
    """A parameter with a value for each tensor.

    Attributes:
        rules: (pattern, value) pairs; patterns are those of the shell (`*`, `?`, `[abc]`) and match
            the whole name of a tensor. The last one is `*`, so that every tensor has a value.
    """

    rules: tuple[tuple[str, Any], ...]

    @classmethod
    def parse(cls, given: Sequence[Any], check: Callable[[Any], Any]) -> TensorParameter:
        """Read the list of a recipe.

        Args:
            given: Mappings with `value`, and `filter` in all but the last one.
            check: Returns a value in canonical form; raises ValueError for one that is not allowed.

        Raises:
            ValueError: A rule is malformed, or its value is not allowed.
        """
        if not given:
            raise ValueError("a list of rules needs at least {value: ...}")
        rules = []
        for number, rule in enumerate(given, 1):
            last = number == len(given)
            if not isinstance(rule, dict) or not rule.keys() <= {"filter", "value"}:
                raise ValueError(f"rule {number} must be {{filter: pattern, value: ...}}")
            if "value" not in rule:
                raise ValueError(f"rule {number} has no value")
            pattern = rule.get("filter", ANY if last else None)
            if not isinstance(pattern, str) or not pattern:
                raise ValueError(f'rule {number} needs a filter such as "*.mlp.*"')
            if last and pattern != ANY:
                raise ValueError(
                    "the last rule must not have a filter: it is for all other tensors"
                )
            rules.append((pattern, check(rule["value"])))
        return cls(tuple(rules))

    def value_in(self, tensor: str) -> Any:
        """The value for the tensor of this name."""
        return next(value for pattern, value in self.rules if fnmatchcase(tensor, pattern))

    @property
    def values(self) -> list[Any]:
        """All values that a tensor may get."""
        return [value for _, value in self.rules]

    def as_json(self) -> list[dict[str, Any]]:
        """The rules as a recipe gives them."""
        *first, (_, default) = self.rules
        return [*({"filter": pattern, "value": v} for pattern, v in first), {"value": default}]

    def unused(self, tensors: Sequence[str]) -> list[str]:
        """The patterns that match none of these names of tensors."""
        return [
            pattern
            for pattern, _ in self.rules
            if pattern != ANY and not any(fnmatchcase(name, pattern) for name in tensors)
        ]

    def __str__(self) -> str:
        *first, (_, default) = self.rules
        return "".join(f"{value} in {pattern}, " for pattern, value in first) + f"else {default}"


def resolve(parameters: Mapping[str, Any], tensor: str) -> dict[str, Any]:
    """The parameters {name: value} that hold in the tensor of this name."""
    return {
        name: value.value_in(tensor) if isinstance(value, TensorParameter) else value
        for name, value in parameters.items()
    }


def depends_on_tensor(parameters: Mapping[str, Any]) -> bool:
    """Whether one of the parameters depends on the tensor."""
    return any(isinstance(value, TensorParameter) for value in parameters.values())


def as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters for a JSON file or a digest."""
    return {
        name: value.as_json() if isinstance(value, TensorParameter) else value
        for name, value in parameters.items()
    }
