"""Shared helpers: a copy of the project, Snakemake in it, finished studies, a SLURM cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mergescale import config as study_config

ROOT = Path(__file__).resolve().parents[1]
# Tests leave nothing in the user's cache of loaded rows.
_ROWS_CACHE = tempfile.TemporaryDirectory(prefix="mergescale-rows-")
os.environ["HF_DATASETS_CACHE"] = _ROWS_CACHE.name
# Their failing assertions show values, like those of tests.
pytest.register_assert_rewrite("merge_inputs", "stage_study")
SMOKE = ("--configfile", "config/smoke.yaml")
# What a fresh clone does not have, by folder.
BUILT = {".": ("logs", ".snakemake", ".venv", ".git"), "results": "*/", "benchmarks": "*/"}
CACHES = ("__pycache__", ".*_cache", ".hypothesis", ".ipynb_checkpoints", "*.egg-info")


def project_copy(folder: Path) -> Path:
    """Copy the project's sources, and nothing that was built, to the new folder `folder`."""

    def ignored(directory: str, names: list[str]) -> set[str]:
        built = BUILT.get(os.path.relpath(directory, ROOT), ())
        if built == "*/":
            built = [name for name in names if Path(directory, name).is_dir()]
        return {*built, *shutil.ignore_patterns(*CACHES)(directory, names)}

    shutil.copytree(ROOT, folder, ignore=ignored)
    return folder


def environment(checkout: Path = ROOT) -> dict[str, str]:
    """The environment of a user who has installed the library of `checkout`, and nothing else.

    Tests change copies of the project and run them. PYTHONPATH replaces installing each copy, which
    would need an environment of its own.
    """
    own = ("PYTHONPATH", "PYTEST_", "SNAKEMAKE_", "MERGESCALE_CHECKOUT")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return inherited | {"PYTHONPATH": str(checkout / "workflow")}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a copy of the project; `stdout` of the result holds all it printed."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def succeeded(run: subprocess.CompletedProcess[str]) -> str:
    """The output of a run, which must have succeeded."""
    assert run.returncode == 0, run.stdout
    return run.stdout


def job_counts(output: str) -> dict[str, int]:
    """Jobs by rule, from the first table "Job stats" that Snakemake printed; empty without one.

    Rules made of another one (`<rule>_of_largest`) are counted with it; the target `all` and the
    total are left out.
    """
    counts: dict[str, int] = {}
    _, _, table = output.partition("Job stats:\n")
    for line in table.splitlines():
        if not line.strip():
            break
        if found := re.fullmatch(r"(\w+)\s+(\d+)", line.strip()):
            rule = found[1].removesuffix("_of_largest")
            counts[rule] = counts.get(rule, 0) + int(found[2])
    return {rule: count for rule, count in counts.items() if rule not in ("all", "total")}


@pytest.fixture(scope="session")
def smoke_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the smoke study was run from nothing; tests only read it."""
    folder = project_copy(tmp_path_factory.mktemp("smoke") / "project")
    succeeded(snakemake(folder, *SMOKE))
    return folder


@pytest.fixture(scope="session")
def tiny_study_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which tests/tiny.yaml was run from nothing; tests only read it."""
    folder = project_copy(tmp_path_factory.mktemp("tiny") / "project")
    succeeded(snakemake(folder, "--configfile", "tests/tiny.yaml"))
    return folder


@pytest.fixture(scope="session")
def cluster():
    """A SLURM cluster on this machine (tests/slurm/cluster.py), stopped at the end."""
    folder = os.environ.get("MERGESCALE_TEST_CLUSTER")
    if not folder:
        pytest.skip("`make test-slurm` starts the SLURM cluster that this needs")
    from cluster import CannotStart, Cluster

    started = Cluster(Path(folder))
    try:
        started.start()
    except CannotStart as reason:
        pytest.skip(str(reason))
    except BaseException:
        started.stop()
        raise
    yield started
    started.stop()


@pytest.fixture(scope="session")
def after(cluster, request, tmp_path_factory):
    """The outcomes of tests/slurm/scenarios.py; only the scenarios that tests need are started."""
    from scenarios import SURVIVAL, side_by_side, study

    files = {item.path.name for item in request.session.items}
    chosen = (study,) if "test_study_on_slurm.py" in files else ()
    chosen += SURVIVAL if "test_survival.py" in files else ()
    with side_by_side(cluster, chosen, tmp_path_factory.mktemp("slurm")) as outcomes:
        yield outcomes


@pytest.fixture
def overlay(tmp_path, monkeypatch):
    """Completes the default study with an overlay written as YAML text."""
    monkeypatch.chdir(tmp_path)

    def with_overlay(text: str) -> dict:
        file = tmp_path / "overlay.yaml"
        file.write_text(text)
        return study_config.load(ROOT / "config" / "config.yaml", file)

    return with_overlay


@pytest.fixture(autouse=True)
def memory_of_a_fresh_process(monkeypatch):
    """Merges in the tests' own process count its memory as if it had just started."""
    from mergescale.merging.engine import memory

    monkeypatch.setattr(memory, "anonymous_memory", lambda: 200_000_000)
