"""Versions of the libraries that computed a result."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import mergescale

_LIBRARIES = ("torch", "transformers", "accelerate", "tokenizers", "safetensors", "numpy")


def versions() -> dict[str, str]:
    """Version of mergescale and of each library that results depend on."""
    found = {"mergescale": mergescale.__version__}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
