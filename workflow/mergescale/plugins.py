"""Imports files that users add: methods, objectives, optimizers, metrics, datasets, figures.

Such a file may be half written. Whatever goes wrong in it is reported as one line with the file and
the line, not as a traceback through this library.
"""

from __future__ import annotations

import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType

_LIBRARY = Path(__file__).resolve().parent


class PluginError(Exception):
    """A file that cannot be imported; the message is one line that names it.

    It is no ValueError, since it is not the fault of a recipe or configuration that is being read.
    """


def load_plugin(package: str, name: str) -> ModuleType:
    """Import the module `name` of a package of this library.

    Raises:
        PluginError: Its code fails; the message has the file, the line and the reason.
    """
    try:
        return import_module(f"{package}.{name}")
    except PluginError:
        raise
    except Exception as error:
        file = _LIBRARY.joinpath(*package.split(".")[1:], f"{name}.py")
        line = _line_in(error, file)
        where = f"{_short(file)}, line {line}" if line else _short(file)
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise PluginError(f"{where}: {type(error).__name__}: {reason}") from error


def _line_in(error: Exception, file: Path) -> int | None:
    """The line of `file` where an error arose."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    return lines[-1] if lines else None


def _short(file: Path) -> str:
    """A path as in `workflow/mergescale/merging/methods/ties.py`."""
    return str(file.relative_to(_LIBRARY.parents[1]))
