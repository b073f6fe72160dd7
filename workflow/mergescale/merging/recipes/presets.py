"""Presets: parameters under which methods match a reference implementation."""

from __future__ import annotations

from typing import Any

from mergescale.merging.method import Method
from mergescale.messages import suggest

# {preset: {method: parameters}}. A method that a preset does not name keeps its defaults. Which of
# the entries that tie with a threshold both packages keep is arbitrary; here it is the first ones.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # The authors of TIES: largest entries of the whole model, ties kept, disjoint mean.
    "paper": {},
    # mergekit 0.1.5: each tensor's int(density * n) largest, in TIES at least one; DARE-TIES sums.
    # No parameter covers two differences: its DARE rescales each tensor to its former L1 norm, and
    # its Breadcrumbs rounds both fractions separately, so one entry more or less may be kept.
    "mergekit": {
        "ties": {"trim_scope": "tensor", "rounding": "at_least_one", "ties": "first"},
        "dare_ties": {"aggregate": "sum"},
        "breadcrumbs": {"trim_scope": "tensor", "rounding": "down", "ties": "first"},
    },
    # peft.utils.merge_utils: int(density * n), or none; disjoint mean everywhere. Its elections
    # ignore the experts' weights, so only a factor common to all has a counterpart here: lambda.
    "peft": {"ties": {"trim_scope": "tensor", "rounding": "down", "ties": "first"}},
}


def preset_parameters(name: Any, method: Method) -> dict[str, Any]:
    """The parameters that a preset sets for a method.

    Raises:
        ValueError: There is no such preset.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"preset is {name!r}; {suggest(name, PRESETS)}")
    return dict(PRESETS[name].get(method.name, {}))
