"""The page "Add your own merging method", followed literally in a copy of the library."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mergescale

PACKAGE = Path(mergescale.__file__).parent
REPOSITORY = PACKAGE.parent.parent
PAGE = REPOSITORY / "docs" / "add_a_method.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)


@pytest.fixture
def workflow(tmp_path):
    """A copy of the library with the page's method saved where the page says."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "workflow" / "mergescale", ignore=ignore)
    target = re.search(r"Save this as `(workflow/[\w/]+\.py)`", PAGE.read_text(encoding="utf-8"))
    (tmp_path / target[1]).write_text(blocks("python")[0], encoding="utf-8")
    return tmp_path / "workflow"


def run(arguments, workflow):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    # `python` of the page is the interpreter of these tests.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        arguments, cwd=workflow, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_the_page_s_commands_do_what_it_says(workflow):
    assert run(["bash", "-c", blocks("bash")[0]], workflow) == "Median\n"
    run([sys.executable, "-c", blocks("python")[1]], workflow)


def test_a_new_file_is_all_the_registry_needs(workflow):
    code = (
        "from mergescale.merging.methods.registry import method_names; print(*method_names())\n"
        "from mergescale.merging.recipe import Recipe\n"
        "print(Recipe('median', 'b', {'a': 'd'}, 0.5).as_dict()['method'])"
    )
    assert run([sys.executable, "-c", code], workflow).split() == [
        *("averaging", "dare_ties", "median", "task_arithmetic", "ties"),
        "median",
    ]


def test_the_page_s_parameter_is_the_declared_one():
    from mergescale.merging.method import Parameter

    declared = eval(blocks("text")[0], {"Parameter": Parameter})
    assert declared.canonical(0.5) == 0.5
