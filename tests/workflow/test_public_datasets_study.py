"""A study of public datasets: a checkpoint as base, and nothing but configuration."""

from __future__ import annotations

import csv
import json

import pytest
import yaml
from conftest import ROOT, job_counts, project_copy, snakemake, succeeded

DATA = ROOT.parent / "shared" / "data"
CONFIGURATION = ROOT / "tests" / "public_datasets.yaml"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="../shared/data, with the rows of public datasets, does not exist"
    ),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The project's copy and what Snakemake printed; the data is found beside the copy."""
    place = tmp_path_factory.mktemp("public_datasets")
    (place / "shared").symlink_to(DATA.parent, target_is_directory=True)
    folder = project_copy(place / "project")
    return folder, succeeded(snakemake(folder, "--configfile", "tests/public_datasets.yaml"))


def test_every_step_of_the_chain_ran(run):
    counts = job_counts(run[1])
    # Pre-trained elsewhere: there is no corpus and no tokenizer to make.
    assert not {"corpus", "tokenizer"} & counts.keys()
    assert counts["task"] == 4 and counts["mixture"] == counts["pretrained_base"] == 1
    assert counts["expert"] == 4 and counts["multitask"] == 2
    assert counts["reference_scores"] == counts["merge_scores"] == 2


def test_tables_figures_and_report_are_written(run):
    results = run[0] / "results" / "public_datasets"
    for table in ("table1", "table2", "table3", "table4", "tasks"):
        for form in ("csv", "md", "tex"):
            assert (results / "tables" / f"{table}.{form}").stat().st_size > 0
    assert len(list((results / "figures").glob("figure*.p??"))) == 16
    assert (results / "report.html").stat().st_size > 0
    with (results / "tables" / "tasks.csv").open(newline="") as stream:
        tasks = {row["task"] for row in csv.DictReader(stream)}
    assert tasks == {"ag_news", "imdb", "copa", "rte"}


def test_the_base_is_the_checkpoint_itself(run):
    from safetensors.torch import load_file

    (size,) = (
        settings
        for settings in yaml.safe_load(CONFIGURATION.read_text())["models"]["sizes"].values()
        if settings
    )
    checkpoint = ROOT / size["checkpoint"]
    folder = run[0] / "results" / "public_datasets" / "models" / "stories260K" / "pt"
    given, base = (load_file(place / "model.safetensors") for place in (checkpoint, folder))
    assert all((given[name] == base[name]).all() for name in given.keys() & base.keys())
    assert given.keys() & base.keys()
    record = json.loads((folder / "training.json").read_text())
    assert record["stage"] == "checkpoint" and record["final_loss"] is None
