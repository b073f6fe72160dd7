"""The page "Add a dataset", followed literally in a copy of the library."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import environment

import mergescale
from mergescale import config
from mergescale.tasks.example_files import read_examples

PACKAGE = Path(mergescale.__file__).parent
REPOSITORY = PACKAGE.parent.parent
PAGE = (REPOSITORY / "docs" / "extend" / "dataset.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)


INTERFACE, SNLI, GENDER = blocks("python")
ROWS_COMMANDS, MICRO_COMMANDS = blocks("bash")
ROWS_STUDY, HUB_STUDY, MICRO_STUDY = map(yaml.safe_load, blocks("yaml"))
ROWS = [json.loads(line) for line in blocks("json")[0].splitlines()]


@pytest.fixture
def project(tmp_path):
    """A copy of the library with the page's files saved where the page says."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "workflow" / "mergescale", ignore=ignore)
    (tmp_path / "docs").mkdir()
    saved = re.findall(r"save this as\s+`(workflow/[\w/]+\.py)`", PAGE, flags=re.I)
    for target, block in zip(saved, (SNLI, GENDER), strict=True):
        (tmp_path / target).write_text(block, encoding="utf-8")
    return tmp_path


def run(commands, folder):
    """Run a block of the page with the library's copy; `python` is that of these tests."""
    variables = environment(folder)
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    subprocess.run(["bash", "-euc", commands], cwd=folder, env=variables, check=True)


def test_the_interface_s_example_is_a_task():
    exec(INTERFACE, {})


def test_rows_of_one_s_own_become_task_files(project):
    (project / "rows" / "snli").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        rows = [{**row, "premise": f"{split}: {row['premise']}"} for row in ROWS]
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
        (project / "rows" / "snli" / f"{split}.jsonl").write_text(text)
    run(ROWS_COMMANDS, project)
    found = read_examples(project / "try" / "snli" / "train.parquet")
    assert len(found) == len(ROWS)
    assert {e.target for e in found} <= {"Yes", "No", "true", "false"}
    (project / "my_rows.yaml").write_text(yaml.safe_dump(ROWS_STUDY))
    (project / "models" / "small").mkdir(parents=True)
    (project / "models" / "small" / "config.json").write_text("{}")
    assert "super_glue_rte" in PAGE and "has no folder for rte" in load_study(project, fails=True)
    (project / "rows" / "super_glue_rte").mkdir()
    assert load_study(project) == "my_rows"


def load_study(project, *, fails=False):
    """What loading the page's study prints, with the copy of the library."""
    code = "from mergescale import config; import sys; print(config.load(*sys.argv[1:])['study'])"
    ended = subprocess.run(
        [sys.executable, "-c", code, REPOSITORY / "config" / "config.yaml", "my_rows.yaml"],
        cwd=project,
        env=environment(project),
        capture_output=True,
        text=True,
    )
    assert (ended.returncode != 0) == fails, ended.stderr
    return ended.stderr if fails else ended.stdout.strip()


def test_a_task_of_the_micro_world_becomes_task_files_and_stands_on_its_page(project):
    run(MICRO_COMMANDS, project)
    found = read_examples(project / "try" / "pronoun_fits" / "test.parquet")
    assert sorted(e.target for e in found) == ["no"] * 4 + ["yes"] * 4
    assert "**Pronoun fits**" in (project / "docs" / "micro_world.md").read_text()


def test_the_page_s_configurations_have_keys_that_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(MICRO_STUDY))
    # Everything is right but the dataset, which only the page's code adds.
    with pytest.raises(config.ConfigError, match="is not a dataset of the source"):
        config.load(REPOSITORY / "config" / "config.yaml", file)
    file.write_text(yaml.safe_dump(HUB_STUDY))
    loaded = config.load(REPOSITORY / "config" / "config.yaml", file)
    assert list(loaded["tasks"]["revisions"]) == ["rte"]
