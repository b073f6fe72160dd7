"""Jobs find the `mergescale` command of this checkout, wherever they start."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import mergescale


def prepare_job_environment(workflow: Any) -> None:
    """Check which library is installed, and let jobs find the command that belongs to it.

    Jobs inherit PATH, with the folder of this Python first, so that Snakemake may be called by its
    full path. With `--sdm conda` the environment of a job comes before it; into that environment
    `envs/mergescale.post-deploy.sh` installs the library of MERGESCALE_CHECKOUT.

    Raises:
        SystemExit: the installed library belongs to another checkout.
    """
    checkout = Path(workflow.basedir).resolve()
    library = Path(mergescale.__file__).resolve().parents[1]
    if library != checkout / "workflow":
        raise SystemExit(
            f"mergescale: this environment has the library of {library.parent} installed, and not "
            f"that of {checkout}; run `pip install --no-deps --editable .` in {checkout}"
        )
    own = str(Path(sys.executable).parent)
    others = (entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry != own)
    os.environ["PATH"] = os.pathsep.join([own, *others])
    os.environ["MERGESCALE_CHECKOUT"] = str(checkout)
