"""Finds the commands: modules with a dataclass `Arguments` and a function `run(args)`.

The public commands are modules of `mergescale.cli`, the stages of a study modules of
`mergescale.stages`. Such a module may also declare

    RESUMABLE = True          after an interrupt, the same command resumes
    HANDLES_SIGTERM = True    SIGTERM raises KeyboardInterrupt, so that the command cleans up
    EPILOG = "..."            text below the arguments in `mergescale COMMAND --help`

Only the module of the command that is called is imported, so that a call does not pay for the
imports of the others; the list of `mergescale --help` is read from the sources.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

_LIBRARY = Path(__file__).resolve().parents[1]


@cache
def commands(package: str) -> dict[str, str]:
    """The commands of a package ("cli" or "stages"): {name: first line of the docstring}."""
    found = {}
    for path in sorted((_LIBRARY / package).glob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "\nclass Arguments:" in source:
            docstring = ast.get_docstring(ast.parse(source)) or ""
            found[path.stem.replace("_", "-")] = docstring.partition("\n")[0].rstrip(".")
    return found


def load_command(name: str) -> ModuleType | None:
    """The module of a command; None where there is no command of this name."""
    for package in ("cli", "stages"):
        if name in commands(package):
            return import_module(f"mergescale.{package}.{name.replace('-', '_')}")
    return None
