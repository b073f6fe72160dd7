"""The wall time of a process, split into start-up and parts of its work (`--timing JSON`)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_spent: dict[str, float] = {}


def _process_age() -> float:
    """Seconds since this process started (Linux), else since this module was imported."""
    try:
        fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return max(0.0, uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, IndexError, ValueError):
        return time.monotonic() - _IMPORTED


_IMPORTED = time.monotonic()


def started() -> None:
    """Mark the end of imports: all time up to now was start-up."""
    _spent["start-up"] = _process_age()


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Add the wall time of a `with` block to `part`."""
    before = time.monotonic()
    try:
        yield
    finally:
        _spent[part] = _spent.get(part, 0.0) + time.monotonic() - before


def write(path: str | os.PathLike[str]) -> None:
    """Write the seconds of each part as JSON; time that belongs to no part is `other`."""
    rest = _process_age() - sum(_spent.values())
    record = {name: round(seconds, 3) for name, seconds in _spent.items()}
    record["other"] = round(max(0.0, rest), 3)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(record) + "\n")
