"""The page "Add a model size", followed literally."""

import re
from pathlib import Path

import tiny_study
import yaml
from conftest import job_counts, project_copy, snakemake, succeeded

from mergescale import config
from mergescale.models.from_scratch import initialize

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "extend" / "size.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)


SCRATCH, CHECKPOINT, HUB = map(yaml.safe_load, blocks("yaml"))


def test_a_size_from_scratch_is_ordered_by_parameters_and_has_its_own_steps(overlay):
    study = overlay(yaml.safe_dump(SCRATCH))
    assert config.sizes(study) == ["40k", "120k", "250k", "500k", "1m"]
    assert config.stage_settings(study, "pretrain", "1m")["steps"] == 6000
    assert config.stage_settings(study, "pretrain", "500k")["steps"] != 6000
    shape = study["models"]["sizes"]["1m"]
    model = initialize(tiny_study.tokenizer(), max_length=96, seed=0, **shape)
    assert 1e6 < sum(parameter.numel() for parameter in model.parameters()) < 1.5e6


def test_a_checkpoint_and_a_model_of_the_hub_are_sizes(tmp_path, overlay):
    words = tiny_study.tokenizer()
    tiny_study.save(tmp_path / "models" / "own", tiny_study.llama(words=words), words)
    models = CHECKPOINT["models"] | {"max_length": 64}
    study = overlay(yaml.safe_dump(CHECKPOINT | {"models": models}))
    assert config.sizes(study)[0] == "own"  # a few thousand parameters
    assert config.base_source(study, "own") == "checkpoint"
    study = overlay(yaml.safe_dump(HUB))
    assert config.sizes(study)[-1] == "1.5B"
    assert config.base_source(study, "1.5B") == "hub"


def test_the_dry_run_counts_the_jobs_of_the_new_size(tmp_path):
    """Without the default sizes, so that all jobs are the new size's."""
    project = project_copy(tmp_path / "project")
    small = SCRATCH["models"]["sizes"] | dict.fromkeys(["40k", "120k", "250k", "500k"])
    overlay = SCRATCH | {"models": {"sizes": small}}
    (project / "config" / "larger.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    (command,) = blocks("bash")
    output = succeeded(snakemake(project, *command.split()[1:]))
    counts = job_counts(output)
    assert counts["pretrained_base"] == 1 and counts["expert"] == 16
