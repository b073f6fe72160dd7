"""A configuration is completed, or refused with one sentence: the key, and what is allowed."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mergescale import config as study_config
from mergescale.config import ConfigError, reference
from mergescale.config.model import StudyConfig
from mergescale.config.schema import schema

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / "config" / "config.yaml"
SMOKE = ROOT / "config" / "smoke.yaml"


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="absent.yaml does not exist"):
        study_config.load(tmp_path / "absent.yaml")


def test_default_study_has_the_papers_grid():
    config = study_config.load(DEFAULT)
    assert len(study_config.categories(config)) == 8
    assert len(study_config.held_in_tasks(config)) == 16
    assert len(study_config.held_out_tasks(config)) == 7
    draws = len(config["draws"]["counts"]) * len(config["draws"]["seeds"])
    grid = len(study_config.methods(config)) * len(study_config.sizes(config)) * draws
    assert grid * len(config["bases"]) == 384


def test_defaults_alone_are_the_default_study():
    assert study_config.complete({}) == study_config.load(DEFAULT)


def test_schema_and_reference_are_in_step_with_the_model():
    assert reference.main(["--check"]) == 0, "run `make reference`"


def test_reference_lists_every_key_with_a_description():
    documented = (ROOT / "config" / "README.md").read_text()
    for path, node in reference.list_keys():
        assert node.get("description"), f"{path} has no description"
        assert f"`{'.'.join(path)}`" in documented


def test_mappings_of_the_schema_refuse_unknown_keys():
    sections = [schema(), *schema()["$defs"].values()]
    assert len(sections) > 20
    for section in sections:
        assert section["type"] == "object" and section["additionalProperties"] is False


def test_completing_changes_neither_its_argument_nor_a_complete_configuration():
    given = {"draws": {"counts": [2]}, "models": {"sizes": {"40k": None}}}
    before = copy.deepcopy(given)
    given["models"]["sizes"]["1k"] = before["models"]["sizes"]["1k"] = dict(
        hidden_size=8, layers=1, heads=2, intermediate_size=16
    )
    done = study_config.complete(given)
    assert given == before
    assert study_config.complete(done) == done


def test_null_removes_categories_sizes_and_methods(overlay):
    config = overlay(
        """
        tasks: {held_in: {sentiment: null}}
        models: {sizes: {500k: null}}
        training: {expert: {sizes: {500k: {steps: 7}, 40k: {steps: 20}}}}
        merging: {methods: {dare_ties: null}}
        draws: {counts: [7]}
        """
    )
    assert "sentiment" not in study_config.categories(config)
    assert study_config.sizes(config) == ["40k", "120k", "250k"]
    assert study_config.methods(config) == ["averaging", "task_arithmetic", "ties"]
    # the override of a removed size goes with it
    assert config["training"]["expert"]["sizes"] == {"40k": {"steps": 20}}


def test_sizes_are_in_order_of_their_number_of_parameters(overlay):
    config = overlay(
        """
        models:
          sizes:
            1m: {hidden_size: 128, layers: 5, heads: 4, intermediate_size: 384}
            10k: {hidden_size: 8, layers: 2, heads: 2, intermediate_size: 16}
            7B: {hub: owner/model, revision: abc, parameters: 7e9}
        """
    )
    assert study_config.sizes(config) == ["10k", "40k", "120k", "250k", "500k", "1m", "7B"]


def test_null_gives_a_single_key_its_default_again(overlay):
    assert overlay("training: {dropout: null}")["training"]["dropout"] == 0.0
    assert overlay("training:")["training"] == study_config.load(DEFAULT)["training"]


@pytest.mark.parametrize("text", ["3e-4", "3E-4", "0.3e-3", "3.0e-04", "0.0003"])
def test_floats_may_be_written_as_in_yaml_1_2(overlay, text):
    settings = f"learning_rate: {text}"
    config = overlay(f"training: {{expert: {{{settings}, sizes: {{40k: {{{settings}}}}}}}}}")
    assert config["training"]["expert"]["learning_rate"] == pytest.approx(3e-4)
    assert study_config.stage_settings(config, "expert", "40k")["learning_rate"] == pytest.approx(
        3e-4
    )
    config = overlay("merging: {lambdas: [0, 1e-1], methods: {ties: {density: [1e-1]}}}")
    assert config["merging"]["lambdas"] == [0, 0.1]
    assert config["merging"]["methods"]["ties"]["density"] == [0.1]


def test_text_that_looks_like_a_number_stays_a_name():
    config = StudyConfig.model_validate({"tasks": {"held_in": {"sentiment": ["1e5"]}}})
    assert config.tasks.held_in["sentiment"] == ["1e5"]


def test_stage_merges_the_overrides_of_a_size(overlay):
    config = overlay("training: {expert: {sizes: {500k: {learning_rate: 1e-4}}}}")
    largest = study_config.stage_settings(config, "expert", "500k")
    smallest = study_config.stage_settings(config, "expert", "40k")
    assert largest == {**smallest, "learning_rate": 1e-4}
    assert largest["dropout"] == 0.0
    assert "sizes" not in largest


def test_method_settings_fill_in_the_shared_sweep():
    config = study_config.load(DEFAULT)
    assert study_config.method_settings(config, "averaging") == {}
    task_arithmetic = study_config.method_settings(config, "task_arithmetic")
    assert task_arithmetic == {"lambda": config["merging"]["lambdas"]}
    ties = study_config.method_settings(config, "ties")
    assert ties["density"] == [0.2, 0.1] and ties["trim_scope"] == "model"


def test_smoke_study_is_a_small_part_of_the_default_one():
    default, smoke = study_config.load(DEFAULT), study_config.load(DEFAULT, SMOKE)
    assert smoke["study"] == "smoke"
    assert set(study_config.categories(smoke)) < set(study_config.categories(default))
    assert study_config.held_out_tasks(smoke) == study_config.held_out_tasks(default)
    assert study_config.methods(smoke) == study_config.methods(default)
    assert len(study_config.sizes(smoke)) == 2


def test_importing_the_configuration_imports_nothing_heavy():
    program = (
        "import sys, time; start = time.perf_counter(); import mergescale.config;"
        "heavy = {'torch', 'numpy', 'pandas', 'transformers', 'datasets'} & set(sys.modules);"
        "print(heavy or 'light')"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "light", run.stderr


SNAKEFILE = f"""
configfile: {str(DEFAULT)!r}
from mergescale.config import complete_or_exit
config = complete_or_exit(config, workflow.configfiles)
rule all:
    output: "study.txt"
    params: study=config["study"], sizes=list(config["models"]["sizes"])
    shell: "echo {{params.study}} {{params.sizes}} > {{output}}"
"""


@pytest.fixture
def snakemake(tmp_path):
    """Runs a one-rule workflow in a scratch folder on the default study with an overlay."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    program = Path(sys.executable).with_name("snakemake")
    if not program.exists() and not shutil.which("snakemake"):
        pytest.skip("snakemake is not installed")

    def run(overlay: str) -> subprocess.CompletedProcess:
        (tmp_path / "overlay.yaml").write_text(overlay)
        command = [program if program.exists() else "snakemake", "--cores", "1"]
        return subprocess.run(
            [*command, "--configfile", "overlay.yaml"], cwd=tmp_path, capture_output=True, text=True
        )

    return run


def test_workflow_stops_before_any_job_with_one_line(snakemake, tmp_path):
    run = snakemake("draws: {counts: [9]}")
    assert run.returncode != 0
    lines = [line for line in run.stderr.splitlines() if "Config file" not in line]
    assert len(lines) == 1 and lines[0].startswith("config error: ")
    assert "config.yaml, overlay.yaml: draws.counts holds 9" in lines[0]
    assert not (tmp_path / "study.txt").exists()


def test_workflow_sees_the_completed_configuration(snakemake, tmp_path):
    run = snakemake(yaml.safe_dump({"study": "other", "models": {"sizes": {"40k": None}}}))
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "study.txt").read_text().split() == ["other", "120k", "250k", "500k"]
