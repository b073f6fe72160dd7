"""The page "Add your own figure", followed literally in a copy of the project."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment, project_copy, snakemake, succeeded
from synthetic_study import finish_study

PAGE = (ROOT / "docs" / "extend" / "figure.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of the page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project with the page's figure saved where the page says."""
    folder = project_copy(tmp_path_factory.mktemp("figure") / "project")
    target = re.search(r"Save this as `(workflow/[\w/]+\.py)`", PAGE)
    (folder / target[1]).write_text(blocks("python")[0], encoding="utf-8")
    return folder


def test_the_command_of_the_page_draws_the_figure(project):
    finish_study(project / "results" / "smoke", counts=(2, 4))
    variables = environment(project)
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    subprocess.run(["bash", "-ec", blocks("bash")[0]], cwd=project, env=variables, check=True)
    for form in ("pdf", "svg", "png"):
        assert (project / "figures" / f"figure8.{form}").stat().st_size > 1000
    assert "merges of 4 experts" in (project / "figures" / "figure8.rst").read_text()


def test_the_workflow_draws_the_figure_with_the_others(project):
    run = snakemake(project, "-n", "--printshellcmds", "results/default/figures/figure8.png")
    assert "results/default/figures/figure8.svg" in succeeded(run)
