"""What the sections of the configuration are made of: their base class and the types of keys."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

# Numbers such as 3e-4, which YAML 1.2 reads as numbers but YAML 1.1 (PyYAML, Snakemake) as text.
_YAML_12_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+")


class Section(BaseModel):
    """A mapping of the configuration with known keys, each with a type, a default and a meaning.

    A key that is set to null is removed, so that it takes its default again; an unknown key is an
    error even then.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _remove_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        known = cls.model_fields
        return {key: entry for key, entry in value.items() if entry is not None or key not in known}


def read_number(value: Any) -> Any:
    """Text that YAML 1.2 reads as a floating-point number, as that number; all else unchanged."""
    if isinstance(value, str) and _YAML_12_FLOAT.fullmatch(value):
        return float(value)
    return value


def check_number(value: Any, check: Any) -> Any:
    """Validate a number that may be written as in YAML 1.2 (pydantic's wrap validator)."""
    value = read_number(value)
    check(value)
    return value  # a whole number stays one: job parameters are written as the user wrote them


def _remove_nulls(value: Any) -> Any:
    """An overlay removes an entry of a mapping by setting it to null."""
    if isinstance(value, dict):
        return {key: entry for key, entry in value.items() if entry is not None}
    return value


def _check_unique(values: list[Any]) -> list[Any]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise PydanticCustomError("duplicate", "{value} twice", {"value": value})
    return values


def _is_none(value: Any) -> bool:
    return value is None


def optional(description: str | None = None) -> Any:
    """A key without a default: where it is not given, the completed configuration lacks it."""
    return Field(
        default=None,
        exclude_if=_is_none,
        description=description,
        json_schema_extra=lambda schema: schema.pop("default", None),
    )


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""A name that becomes part of file names."""
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Number = Annotated[float, WrapValidator(check_number)]
PositiveNumber = Annotated[float, Field(gt=0), WrapValidator(check_number)]
Unique = AfterValidator(_check_unique)
RemoveNulls = BeforeValidator(_remove_nulls)
