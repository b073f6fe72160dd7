"""Finds the merging methods: every other file in this folder is one and defines METHOD.

Importing a method imports neither torch nor numpy, so that the workflow may ask for names,
titles and parameters whenever it is parsed.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from mergescale.merging import methods
from mergescale.merging.method import Method
from mergescale.messages import suggest


@cache
def all_methods() -> dict[str, Method]:
    """Every method by name, in order of names."""
    found = {}
    for name in sorted(module.name for module in iter_modules(methods.__path__)):
        if name == "registry":
            continue
        method = getattr(import_module(f"{methods.__name__}.{name}"), "METHOD", None)
        if not isinstance(method, Method) or method.name != name:
            raise ImportError(f"merging/methods/{name}.py must define METHOD named {name!r}")
        found[name] = method
    return found


def method_names() -> list[str]:
    """The names of all methods, sorted."""
    return list(all_methods())


def get_method(name: str) -> Method:
    """The method called `name`.

    Raises ValueError that lists the known ones and names the closest.
    """
    known = all_methods()
    if name in known:
        return known[name]
    raise ValueError(f"unknown merging method {name!r}; {suggest(name, known)}")
