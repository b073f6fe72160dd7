"""The pins under envs/ are exact and agree with each other, and the Makefile checks its inputs."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "envs"
RUNTIME = (ENVS / "requirements.txt").read_text()
DEVELOPMENT = (ENVS / "requirements-dev.txt").read_text()
CLUSTER = (ENVS / "requirements-slurm.txt").read_text()


@pytest.fixture(scope="module")
def lock():
    spec = importlib.util.spec_from_file_location("lock", ENVS / "lock.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entries(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_every_requirement_is_an_exact_pin():
    for line in entries(RUNTIME) + entries(DEVELOPMENT)[1:] + entries(CLUSTER)[1:]:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line
    assert entries(DEVELOPMENT)[0] == entries(CLUSTER)[0] == "-r requirements.txt"


def test_torch_is_pinned_without_a_build_tag():
    assert "torch==2.13.0" in entries(RUNTIME)


def test_no_package_is_pinned_twice(lock):
    assert len(entries(RUNTIME)) == len(lock.pins(RUNTIME))
    assert not lock.pins(RUNTIME).keys() & lock.pins(DEVELOPMENT).keys()
    assert not lock.pins(RUNTIME + DEVELOPMENT).keys() & lock.pins(CLUSTER).keys()


def test_conda_environment_has_the_same_pins():
    conda = yaml.safe_load((ENVS / "mergescale.yaml").read_text())
    pip = next(entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    assert sorted(pip) == sorted(entries(RUNTIME))
    assert "python=3.11" in conda["dependencies"]


def test_conda_environment_is_what_the_lock_script_writes(lock):
    assert (ENVS / "mergescale.yaml").read_text() == lock.conda_text(RUNTIME)


def test_repinning_keeps_comments_and_moves_versions(lock):
    text = "# head\n\n# why\na==1\n\n# what these depend on\nb==1\n"
    repinned = lock.repinned(text, {"a": "2", "b": "3", "c": "4", "d": "5"}, elsewhere={"d": "5"})
    assert repinned == "# head\n\n# why\na==2\n\n# what these depend on\nb==3\nc==4\n"


def test_cuda_libraries_of_torchs_default_build_are_not_pinned(lock):
    frozen = {"torch": "2", "nvidia-cublas": "13", "cuda-toolkit": "13", "triton": "3", "tqdm": "4"}
    assert lock.without_cuda(frozen) == {"torch": "2", "tqdm": "4"}
    assert lock.without_cuda(lock.pins(RUNTIME)) == lock.pins(RUNTIME)


def test_wheels_are_checked_for_the_versions_that_the_package_allows(lock):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert lock.PYTHON_VERSIONS == ("3.11", "3.12", "3.13")


def test_environment_files_name_no_index():
    for file in ENVS.iterdir():
        if file.is_file():
            assert not re.search(r"https?://|index-url|find-links", file.read_text()), file


def make(*arguments: str) -> subprocess.CompletedProcess:
    # The settings of a surrounding `make test` must not reach this one.
    own = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "BIN", "STUDY")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, env=environment
    )


def test_make_without_a_target_lists_the_targets():
    listing = make().stdout
    for target in ("figures", "smoke", "test", "lint", "report", "clean"):
        assert f"make {target}" in listing


def test_make_says_which_python_it_needs(tmp_path):
    # A copy of the Makefile in an empty folder, without .venv.
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "requirements.txt").write_text("")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    run = make("-C", str(tmp_path), "figures", "PYTHON=no-such-python")
    assert run.returncode != 0
    assert "no-such-python is not Python 3.11, 3.12 or 3.13 with venv" in run.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("study", ["", "..", "a/b", "/", "a b"])
def test_clean_refuses_what_is_not_a_study(study):
    run = make("--dry-run", "clean") if not study else make("clean", f"STUDY={study}")
    if study:
        assert run.returncode != 0 and "name the study" in run.stderr
    else:
        assert "name the study" in run.stdout


def test_a_configuration_that_does_not_exist_is_refused():
    run = make("--dry-run", "figures", "CONFIG=no-such.yaml")
    assert run.returncode != 0 and "no-such.yaml does not exist" in run.stderr


def test_a_notebook_needs_the_results_of_its_study(tmp_path):
    (tmp_path / "study.yaml").write_text("study: never_run\n")
    run = make("notebook", "BIN=/usr/bin", f"CONFIG={tmp_path / 'study.yaml'}")
    assert run.returncode != 0 and "results/never_run/performance.csv does not exist" in run.stderr


def test_continuous_integration_runs_lint_and_tests():
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert script.rstrip().splitlines()[-3:] == ["make lint", "make test", "make test-slurm"]


def test_the_hosted_ci_runs_the_same_script_on_every_python(lock):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["test"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert tuple(job["strategy"]["matrix"]["python"]) == lock.PYTHON_VERSIONS


def test_commit_hooks_run_the_pinned_tools(lock):
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    for hook in hooks[0]["hooks"]:
        assert hook["entry"].split()[0] in lock.pins(DEVELOPMENT) and hook["language"] == "system"


def test_the_workflow_catalog_knows_how_to_install_the_workflow():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is True
    assert "pip install -r envs/requirements.txt" in usage["mandatory-flags"]["desc"]
