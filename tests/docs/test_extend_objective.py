"""The page "Add a training objective or an optimizer", followed literally in a copy."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_study
import yaml
from conftest import environment

import mergescale
from mergescale.training import registry

PACKAGE = Path(mergescale.__file__).parent
PAGE = (PACKAGE.parents[1] / "docs" / "extend" / "objective.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)


@pytest.fixture
def project(tmp_path):
    """A copy of the library with the page's files, and a base and data where its command reads."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "workflow" / "mergescale", ignore=ignore)
    targets = re.findall(r"Save this\s+as\s+`(workflow/[\w/]+\.py)`", PAGE)
    for target, block in zip(targets, blocks("python"), strict=True):
        (tmp_path / target).write_text(block, encoding="utf-8")
    results, words = tmp_path / "results" / "smoke", tiny_study.tokenizer()
    tiny_study.save(results / "models" / "40k" / "pt", tiny_study.llama(words=words), words)
    tiny_study.write_task(results / "tasks", "imdb")
    return tmp_path


def run(arguments, project):
    """Run a command with the copy; `mergescale` is that of these tests' environment."""
    variables = environment(project)
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    done = subprocess.run(arguments, cwd=project, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_lists_every_objective_with_the_stages_that_use_it():
    table = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*?) ?\|$", PAGE, flags=re.M))
    assert sorted(table) == registry.objective_names()
    from mergescale.config.training import Training

    for stage in ("pretrain", "instruct", "expert", "multitask"):
        default = getattr(Training(), stage).objective
        assert f"`{stage}`" in table[default]


def test_the_page_s_command_trains_with_its_objective_and_its_optimizer(project):
    (command,) = blocks("bash")
    assert "--optimizer" not in command
    run(["bash", "-euc", command.rstrip() + " --optimizer sgd"], project)
    settings = json.loads((project / "smoothed" / "training.json").read_text())["settings"]
    assert (settings["objective"], settings["optimizer"]) == ("label_smoothing", "sgd")


def test_the_page_s_configuration_is_valid_with_its_file_and_refused_without(project):
    (overlay,) = map(yaml.safe_load, blocks("yaml"))
    code = (
        "import sys, yaml; from mergescale import config; "
        "print(config.complete(yaml.safe_load(sys.stdin))['training']['expert']['objective'])"
    )
    for folder, expected in ((project, "label_smoothing\n"), (None, "is not")):
        variables = environment(folder) if folder else environment()
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=yaml.safe_dump(overlay),
            env=variables,
            capture_output=True,
            text=True,
        )
        if folder:
            assert done.stdout == expected, done.stderr
        else:
            message = 'training.expert.objective is "label_smoothing"; allowed: answer_loss'
            assert message in done.stderr
