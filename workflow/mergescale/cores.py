"""How many things may be done at once."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, or all where nobody tells (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
