"""Finds the merging methods: every file in `methods/` is one and defines METHOD.

Importing a method imports neither torch nor numpy, since the workflow reads names, titles and
parameters whenever it is parsed.
"""

from __future__ import annotations

from functools import cache
from pkgutil import iter_modules

from mergescale.merging import methods
from mergescale.merging.method import Method
from mergescale.messages import suggest
from mergescale.plugins import PluginError, load_plugin


@cache
def all_methods() -> dict[str, Method]:
    """Return every method by name, sorted by name.

    Raises:
        PluginError: For a file in `methods/` that cannot be imported or does not define METHOD
            with the file's name.
    """
    by_name = {}
    for name in sorted(module.name for module in iter_modules(methods.__path__)):
        method = getattr(load_plugin(methods.__name__, name), "METHOD", None)
        if not isinstance(method, Method) or method.name != name:
            raise PluginError(
                f"workflow/mergescale/merging/methods/{name}.py must define METHOD named {name!r}"
            )
        by_name[name] = method
    return by_name


def method_names() -> list[str]:
    """Return the names of all methods, sorted."""
    return list(all_methods())


def get_method(name: str) -> Method:
    """Return the method called `name`.

    Raises:
        ValueError: With the known names and the closest one, for any other name.
    """
    known = all_methods()
    if name in known:
        return known[name]
    raise ValueError(f"unknown merging method {name!r}; {suggest(name, known)}")
