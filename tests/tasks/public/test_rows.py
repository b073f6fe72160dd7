"""Every dataset with rows at hand is rendered; declarations agree with the hub's list.

The rows lie outside the project, in the folder that `public_datasets.yaml` names.
"""

from __future__ import annotations

import json
from pathlib import Path

import hub_stub
import pyarrow as pa
import pytest
import yaml

from mergescale.cli.main import main
from mergescale.tasks.prompt_config import PromptConfig
from mergescale.tasks.public.dataset import TEXT, TEXT_OR_NULL, WHOLE
from mergescale.tasks.public.datasets import DATASETS
from mergescale.tasks.public.public_task import public_tasks
from mergescale.tasks.task import SPLITS

ROOT = Path(__file__).parents[3]
OVERLAY = ROOT / "tests" / "public_datasets.yaml"
FOLDER = ROOT / yaml.safe_load(OVERLAY.read_text(encoding="utf-8"))["tasks"]["folder"]
HUB = FOLDER / "hf_infos"
# Only stand-ins of these can be had: test_hub_datasets.py.
ABSENT = {"dbpedia", "wiki_bio", "hellaswag", "winogrande"}

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"the rows that {OVERLAY.name} names are not on this machine"
)


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ABSENT])
def test_public_datasets_are_rendered_by_all_templates(name):
    dataset = DATASETS[name]
    task = public_tasks(PromptConfig(folder=FOLDER, template_mode="all"))[name]
    found = {split: task.examples(split, 10_000, 0) for split in SPLITS}
    rows = {split: {e.row for e in examples} for split, examples in found.items()}
    assert len(rows["test"]) >= 50 and len(rows["validation"]) >= 25
    assert (len(rows["train"]) >= 190) == (name != "anli")
    assert sum(map(len, rows.values())) == len(set.union(*rows.values()))
    inputs = {split: {e.input for e in examples} for split, examples in found.items()}
    assert not inputs["train"] & (inputs["validation"] | inputs["test"])
    for split, examples in found.items():
        assert len(examples) == len(rows[split]) * len(dataset.templates)
        for template in dataset.templates:
            rendered = [e for e in examples if e.template == template.name]
            # A majority of one answer there may be, but no answer alone.
            assert not rendered or len({e.target for e in rendered}) > 1
        for example in examples:
            assert example.target.strip() == example.target != ""
            assert example.references[0] == example.target


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_columns_repository_and_splits_are_the_hub_s(dataset):
    repository = dataset.hub.repo.split("/")[1]
    configurations = json.loads((HUB / f"{repository}.json").read_text())
    about = configurations[dataset.hub.config]
    assert {s for names in dataset.hub.splits.values() for s in names} <= set(about["splits"])
    features = about["features"]
    for column, wanted in dataset.columns.items():
        if column != dataset.strata:
            assert agrees(wanted, features[column]), column
    listed = {name: arrow(feature) for name, feature in features.items()}
    assert hub_stub.SCHEMAS[dataset.name] == listed
    for label in (f for f in features.values() if isinstance(f, dict) and "names" in f):
        assert tuple(label["names"]) == dataset.label_names


def agrees(wanted, feature) -> bool:
    """Whether a declared type is that of one of the hub's features."""
    if isinstance(feature, list):
        return isinstance(wanted, list) and agrees(wanted[0], feature[0])
    if "_type" not in feature or isinstance(feature["_type"], dict):
        return all(agrees(inner, feature[key]) for key, inner in wanted.items())
    if feature["_type"] == "Sequence":
        inner = feature["feature"]
        if isinstance(wanted, list):
            return agrees(wanted[0], inner)
        # A sequence of objects is stored as an object of lists.
        return all(
            entry == [TEXT] and inner[key]["dtype"] == "string" for key, entry in wanted.items()
        )
    if feature["_type"] == "ClassLabel" or feature["dtype"].startswith("int"):
        return wanted == WHOLE
    return feature["dtype"] == "string" and wanted in (TEXT, TEXT_OR_NULL)


def arrow(feature) -> pa.DataType:
    """The type in which one of the hub's features is stored."""
    if isinstance(feature, list):
        return pa.list_(arrow(feature[0]))
    if "_type" not in feature or isinstance(feature["_type"], dict):
        return pa.struct([(key, arrow(inner)) for key, inner in feature.items()])
    if feature["_type"] == "Sequence":
        inner = feature["feature"]
        if "_type" in inner:
            return pa.list_(arrow(inner))
        return pa.struct([(key, pa.list_(arrow(entry))) for key, entry in inner.items()])
    if feature["_type"] == "ClassLabel":
        return pa.int64()
    return {"string": pa.string(), "float32": pa.float32()}.get(
        feature["dtype"]
    ) or pa.type_for_alias(feature["dtype"])


def test_the_table_has_all_datasets_and_the_reason_where_rows_are_absent(capsys):
    assert main(["datasets", "--source", "folder", "--folder", str(FOLDER)]) == 0
    _, _, *lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    table, faults = lines[: len(DATASETS)], lines[len(DATASETS) :]
    assert {line.split()[0] for line in table} == set(DATASETS)
    assert {line.split()[0] for line in table if "not usable" in line} == ABSENT
    assert len(faults) == len(ABSENT)
    for line in faults:
        assert "is not a directory; put the rows of" in line
