"""Named sets of flags under which this engine computes what a public package does."""

from __future__ import annotations

from typing import Any

from mergescale.merging.method import Method

# preset: {method: flags}. A method that a preset does not name keeps its defaults. Which entries of
# those that tie with a threshold both packages keep is arbitrary; here it is the first ones.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # The authors of TIES: the whole model's largest entries, ties kept, disjoint mean.
    "paper": {},
    # mergekit 0.1.5: each tensor's int(density * n) largest, of TIES one at least; DARE-TIES adds
    # up. What no flag does: its DARE rescales each tensor to the L1 norm it had; its Breadcrumbs
    # rounds both shares by themselves, so that one entry more or less may be kept.
    "mergekit": {
        "ties": {"trim_scope": "tensor", "rounding": "at_least_one", "ties": "first"},
        "dare_ties": {"aggregate": "sum"},
        "breadcrumbs": {"trim_scope": "tensor", "rounding": "down", "ties": "first"},
    },
    # peft.utils.merge_utils: int(density * n), or none; disjoint mean everywhere. Its elections do
    # not see the experts' weights: with elections only a factor common to all has its counterpart
    # here, lambda.
    "peft": {"ties": {"trim_scope": "tensor", "rounding": "down", "ties": "first"}},
}


def preset_settings(name: Any, method: Method) -> dict[str, Any]:
    """The flags that a preset sets for a method. Raises ValueError for an unknown preset."""
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"preset is {name!r}, allowed are {', '.join(PRESETS)}")
    return dict(PRESETS[name].get(method.name, {}))
