"""A file that a user adds and that cannot be imported is one line with file and line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment

import mergescale

IMPORT_ALL = "from mergescale.merging import all_methods; all_methods()"
METHODS = "workflow/mergescale/merging/methods"


@pytest.fixture
def copy(tmp_path):
    """A copy of the library, to which a broken file is added."""
    shutil.copytree(
        Path(mergescale.__file__).parent,
        tmp_path / "workflow" / "mergescale",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return tmp_path


def mergescale_explain(checkout):
    """The exit status and the error of a command that reads the methods."""
    (checkout / "r.yaml").write_text("base: b\nexperts: [c]\nmethod: median\nlambda: 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "mergescale", "explain", "r.yaml"],
        cwd=checkout,
        env=environment(checkout),
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("import torhc\n", "median.py, line 1: ModuleNotFoundError: No module named 'torhc'"),
        ("a = 1\ndef merge(block:\n", "median.py, line 2: SyntaxError: '(' was never closed"),
        ("\n\nMETHOD = Metod()\n", "median.py, line 3: NameError: name 'Metod' is not defined"),
        ("METHOD = 1\n", "median.py must define METHOD named 'median'"),
    ],
)
def test_a_broken_method_is_one_line(copy, content, message):
    (copy / METHODS / "median.py").write_text(content)
    status, error = mergescale_explain(copy)
    assert (status, error) == (1, f"mergescale: error: {METHODS}/{message}\n")


def test_a_broken_method_is_one_line_of_the_workflow(copy):
    (copy / METHODS / "median.py").write_text("import torhc\n")
    load = (
        "from mergescale.config.load import complete_or_exit, read\n"
        f"complete_or_exit(read({str(ROOT / 'config' / 'config.yaml')!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", load], env=environment(copy), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"error: {METHODS}/median.py, line 1: ModuleNotFoundError: No module named 'torhc'\n",
    )


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("(block.base, block.base)", "merge returned a tuple, not a tensor, nor a tensor with"),
        ("block.base.view(1, -1).median(dim=0)", "merge returned a median, not a tensor, nor"),
        ("None", "merge returned NoneType, not a tensor"),
    ],
)
def test_what_is_not_a_tensor_is_named(returned, message):
    import torch

    from mergescale.merging.method import SWEPT_LAMBDA, Method

    method = Method("odd", "Odd", lambda block: eval(returned), (SWEPT_LAMBDA,))
    with pytest.raises(ValueError, match=f"odd: {message}"):
        method.tau({"a": {"w": torch.ones(2)}})
