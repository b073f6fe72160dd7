"""Writing result files so that a reader never sees half of one."""

import os
from pathlib import Path


def replace_bytes(path, data: bytes) -> None:
    """Write `data` to `path` through a temporary neighbour that is then renamed over it.

    A killed job leaves either the old file or the new one, never a truncated one.
    Folders on the way are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_text(path, text: str) -> None:
    """As `replace_bytes`, for text: UTF-8, line ends as they are in `text`."""
    replace_bytes(path, text.encode("utf-8"))
