"""Named sets of flags under which this engine computes what a public package does."""

from __future__ import annotations

from typing import Any

from mergescale.merging.method import Method

# preset: {method: flags}. A method that a preset does not name keeps its defaults.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # The authors of TIES: the whole model's largest entries, ties kept, disjoint mean.
    "paper": {},
    # mergekit 0.1.x: each tensor's int(density * n) largest; DARE-TIES adds up.
    "mergekit": {
        "ties": {"trim_scope": "tensor", "rounding": "down"},
        "dare_ties": {"aggregate": "sum"},
        "breadcrumbs": {"trim_scope": "tensor", "rounding": "down"},
    },
    # peft.utils.merge_utils: the same trim; disjoint mean everywhere.
    "peft": {"ties": {"trim_scope": "tensor", "rounding": "down"}},
}


def preset_settings(name: Any, method: Method) -> dict[str, Any]:
    """The flags that a preset sets for a method. Raises ValueError for an unknown preset."""
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"preset is {name!r}, allowed are {', '.join(PRESETS)}")
    return dict(PRESETS[name].get(method.name, {}))
