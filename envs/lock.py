"""Write the environment files: the pins in requirements*.txt, and a conda file with the same pins.

    python3.11 envs/lock.py                   write the conda file from the current pins
    python3.11 envs/lock.py --upgrade         first update the top-level packages and their pins
    python3.11 envs/lock.py --check-wheels    check that every pin has a wheel, and write nothing

A requirements file lists its top-level packages, then, below DEPENDENCIES, the packages that these
depend on. torch keeps its pin (requirements.txt says why); change that line by hand.

A script instead of `pip-compile` or `uv pip compile`, since these also pin the CUDA libraries of
torch's default Linux build, which would then be installed beside its CPU build, too.
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
FIXED = ("torch",)
PYTHON_VERSIONS = ("3.11", "3.12", "3.13")
# Pure Python packages that are published without a wheel.
SOURCE_ONLY = ("connection_pool", "rouge_score")
CUDA = ("nvidia-", "cuda-", "triton")

CONDA_HEAD = """\
# For `snakemake --sdm conda`: the pins of requirements.txt, copied here by `make env-update`.
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


def without_cuda(versions: dict[str, str]) -> dict[str, str]:
    """Versions without the CUDA libraries that only torch's default Linux build brings along."""
    return {name: pin for name, pin in versions.items() if not name.lower().startswith(CUDA)}


def conda_text(runtime: str) -> str:
    """The conda environment file for the pins of the runtime requirements."""
    return CONDA_HEAD + "".join(f"    - {name}=={pin}\n" for name, pin in pins(runtime).items())


def repinned(text: str, versions: dict[str, str], elsewhere: dict[str, str]) -> str:
    """A requirements file with new `versions`; pins that are in `elsewhere` are not repeated."""
    top = text.split(DEPENDENCIES)[0]
    named = pins(top)
    for name in named:
        top = re.sub(rf"^{re.escape(name)}==\S+$", f"{name}=={versions[name]}", top, flags=re.M)
    rest = sorted(versions.keys() - named.keys() - elsewhere.keys(), key=str.lower)
    return top + DEPENDENCIES + "\n" + "".join(f"{name}=={versions[name]}\n" for name in rest)


def resolved(packages: list[str]) -> dict[str, str]:
    """Install packages into a temporary environment; returns all versions there."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        freeze = subprocess.run(
            [python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True
        )
    return without_cuda(pins(re.sub(r"\+\w+$", "", freeze.stdout, flags=re.MULTILINE)))


def upgrade() -> None:
    """Write both requirements files with the newest versions that are compatible."""
    runtime, development = RUNTIME.read_text(), DEVELOPMENT.read_text()
    top = pins(runtime.split(DEPENDENCIES)[0])
    wanted = [f"{name}=={pin}" if name in FIXED else name for name, pin in top.items()]
    versions = resolved(wanted)
    RUNTIME.write_text(repinned(runtime, versions, elsewhere={}))
    fixed = [f"{name}=={pin}" for name, pin in versions.items()]
    more = resolved(fixed + list(pins(development.split(DEPENDENCIES)[0])))
    DEVELOPMENT.write_text(repinned(development, more, elsewhere=versions))


def check_wheels() -> int:
    """Check that every pin has a wheel for each Python version; returns the exit status."""
    failures = 0
    for version in PYTHON_VERSIONS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
            command += ["--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
            command += [word for name in SOURCE_ONLY for word in ("--no-binary", name)]
            command += ["--python-version", version, "--target", folder, "-r", str(DEVELOPMENT)]
            done = subprocess.run(command, capture_output=True, text=True)
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        print(f"Python {version}: {errors[0] if errors else 'every pin has a wheel'}", flush=True)
        failures += done.returncode != 0
    return int(failures > 0)


if __name__ == "__main__":
    if "--check-wheels" in sys.argv[1:]:
        sys.exit(check_wheels())
    if "--upgrade" in sys.argv[1:]:
        upgrade()
    CONDA.write_text(conda_text(RUNTIME.read_text()))
