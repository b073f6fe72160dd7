"""The notebooks: committed without outputs; every assertion in them holds on a finished study."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def study(request) -> Path:
    """The folder of a finished study: MERGESCALE_TEST_RESULTS, else the smoke study."""
    given = os.environ.get("MERGESCALE_TEST_RESULTS")
    if given:
        return Path(given).resolve()
    return request.getfixturevalue("smoke_study") / "results" / "smoke"


@each_notebook
def test_notebooks_are_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None and not cell.metadata


@pytest.mark.slow
@each_notebook
def test_notebooks_run_to_the_end(path, study, monkeypatch):
    monkeypatch.setenv("MERGESCALE_STUDY", str(study))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    assert any(
        "image/png" in output.get("data", {})
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


@pytest.mark.parametrize(
    "config, message",
    [
        ("no_such_file.yaml", "no_such_file.yaml does not exist"),
        ("never_run.yaml", "results/never-run/performance.csv does not exist; run the study"),
    ],
)
def test_make_notebook_says_in_one_line_what_is_missing(tmp_path, config, message):
    (tmp_path / "never_run.yaml").write_text("study: never-run\n")
    run = subprocess.run(
        ["make", "-f", ROOT / "Makefile", "notebook", f"CONFIG={config}", f"BIN={sys.prefix}/bin"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert message in run.stderr.splitlines()[0]
    # make itself may add that the target failed.
    assert all("***" in line for line in run.stderr.splitlines()[1:])
