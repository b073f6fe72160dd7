"""Merging methods, in memory and for checkpoints of any size.

The public names are loaded when they are first used:

    from mergescale.merging import Merge, get_method, run_merges

    merges = [Merge("merged", get_method("ties"), ("code", "math"), lam=0.5,
                    parameters={"density": 0.2, "trim_scope": "model", "rounding": "up",
                                "aggregate": "mean"})]
    run_merges("models/base", {"math": "models/math", "code": "models/code"}, merges)

In memory, a method's `tau` merges task vectors:

    from mergescale.merging import apply_task_vector, get_method, read_task_vectors

    tau = get_method("ties").tau(read_task_vectors(base, folders), density=0.2)
    merged = apply_task_vector(base, tau, lam=0.5)
"""

from __future__ import annotations

from typing import Any

_MODULES = {
    "Merge": "engine.merge_spec",
    "MergedTaskVector": "in_memory",
    "Method": "method",
    "Parameter": "method",
    "all_methods": "registry",
    "apply_task_vector": "ops.cast",
    "get_method": "registry",
    "merge_task_vectors": "in_memory",
    "read_task_vectors": "in_memory",
    "run_merges": "engine.run",
}
__all__ = [  # noqa: F822
    "Merge",
    "MergedTaskVector",
    "Method",
    "Parameter",
    "all_methods",
    "apply_task_vector",
    "get_method",
    "merge_task_vectors",
    "read_task_vectors",
    "run_merges",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
