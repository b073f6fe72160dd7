"""Jobs find the library, and the python that runs Snakemake, wherever they start."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def let_jobs_find(library: str) -> None:
    """Put `library` first on PYTHONPATH, and this python's folder first on PATH.

    Jobs inherit both. An environment that Snakemake activates for a job (`--sdm conda`) comes
    before this PATH again, as it should.
    """
    _prepend("PYTHONPATH", library)
    _prepend("PATH", str(Path(sys.executable).parent))


def _prepend(variable: str, entry: str) -> None:
    entries = os.environ.get(variable, "").split(os.pathsep)
    os.environ[variable] = os.pathsep.join([entry, *(e for e in entries if e and e != entry)])
