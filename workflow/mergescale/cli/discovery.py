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

from importlib import import_module
from pathlib import Path
from types import ModuleType

_LIBRARY = Path(__file__).resolve().parents[1]
_PACKAGES = ("cli", "stages")


def commands(package: str) -> dict[str, str]:
    """The commands of a package ("cli" or "stages"): {name: first line of the docstring}."""
    import ast

    found = {}
    for path in sorted((_LIBRARY / package).glob("*.py")):
        if _is_command(path):
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem.replace("_", "-")] = docstring.partition("\n")[0].rstrip(".")
    return found


def load_command(name: str) -> ModuleType | None:
    """Import the module of a command; None if there is no command of this name."""
    stem = name.replace("-", "_")
    if not stem.isidentifier() or "_" in name:
        return None
    for package in _PACKAGES:
        path = _LIBRARY / package / f"{stem}.py"
        if path.is_file() and _is_command(path):
            return import_module(f"mergescale.{package}.{stem}")
    return None


def _is_command(path: Path) -> bool:
    return "\nclass Arguments:" in path.read_text(encoding="utf-8")
