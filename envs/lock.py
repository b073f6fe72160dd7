"""Writes the environment files: the pins in requirements*.txt, and a conda file with the same.

    python3.11 envs/lock.py              the conda file from the pins as they are
    python3.11 envs/lock.py --upgrade    the newest versions of the top-level packages first

A requirements file lists its top-level packages, then, below DEPENDENCIES, what these pull in.
torch keeps its pin (the reason is at the head of requirements.txt); change that line by hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RUNTIME, DEVELOPMENT = HERE / "requirements.txt", HERE / "requirements-dev.txt"
CONDA = HERE / "mergescale.yaml"
DEPENDENCIES = "# what these depend on"
KEPT = ("torch",)

CONDA_HEAD = """\
# For `snakemake --sdm conda`: the pins of requirements.txt, which `make env-update` copies here.
name: mergescale
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def pins(text: str) -> dict[str, str]:
    """The exact pins of a requirements file, version by package."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", text, flags=re.MULTILINE))


def conda_text(runtime: str) -> str:
    """The conda environment file for the pins of the runtime requirements."""
    return CONDA_HEAD + "".join(f"    - {name}=={pin}\n" for name, pin in pins(runtime).items())


def repinned(text: str, versions: dict[str, str], elsewhere: dict[str, str]) -> str:
    """A requirements file with `versions`, without dependencies that `elsewhere` pins already."""
    top = text.split(DEPENDENCIES)[0]
    named = pins(top)
    for name in named:
        top = re.sub(rf"^{re.escape(name)}==\S+$", f"{name}=={versions[name]}", top, flags=re.M)
    rest = sorted(versions.keys() - named.keys() - elsewhere.keys(), key=str.lower)
    return top + DEPENDENCIES + "\n" + "".join(f"{name}=={versions[name]}\n" for name in rest)


def resolved(packages: list[str]) -> dict[str, str]:
    """Install packages into an environment of their own; every version that this brings."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        freeze = subprocess.run(
            [python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True
        )
    return pins(re.sub(r"\+\w+$", "", freeze.stdout, flags=re.MULTILINE))


def upgrade() -> None:
    """Write both requirements files with the newest versions that go together."""
    runtime, development = RUNTIME.read_text(), DEVELOPMENT.read_text()
    top = pins(runtime.split(DEPENDENCIES)[0])
    wanted = [f"{name}=={pin}" if name in KEPT else name for name, pin in top.items()]
    versions = resolved(wanted)
    RUNTIME.write_text(repinned(runtime, versions, elsewhere={}))
    fixed = [f"{name}=={pin}" for name, pin in versions.items()]
    more = resolved(fixed + list(pins(development.split(DEPENDENCIES)[0])))
    DEVELOPMENT.write_text(repinned(development, more, elsewhere=versions))


if __name__ == "__main__":
    if "--upgrade" in sys.argv[1:]:
        upgrade()
    CONDA.write_text(conda_text(RUNTIME.read_text()))
