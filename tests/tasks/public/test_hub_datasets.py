"""All 23 datasets load from the hub's parquet; what the hub lacks becomes one clear sentence.

The hub is a stand-in (`hub_stub.py`): the one function that asks it gives a folder of files in its
columns and types.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import hub_stub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RevisionNotFoundError

from mergescale.cli.main import main
from mergescale.evaluation.metrics import GENERATION_METRICS, RANK_METRICS
from mergescale.tasks.prompt_config import PromptConfig
from mergescale.tasks.public import row_files
from mergescale.tasks.public.datasets import DATASETS
from mergescale.tasks.public.public_task import public_tasks
from mergescale.tasks.task import SPLITS

ALL = 10_000


@pytest.fixture
def hub_calls(tmp_path, monkeypatch):
    """A stub of the hub with all datasets, 60 rows per split; returns the calls to it."""
    calls = []

    def snapshot(repo, revision, patterns):
        (dataset,) = (
            d
            for d in DATASETS.values()
            if d.hub.repo == repo and any(p.startswith(f"{d.hub.config}/") for p in patterns)
        )
        calls.append((repo, revision, patterns))
        folder = tmp_path / dataset.name / "snapshots" / hub_stub.COMMIT
        return folder if folder.exists() else hub_stub.snapshot(tmp_path, dataset.name, dataset.hub)

    monkeypatch.setattr(row_files, "snapshot", snapshot)
    return calls


def fault(name: str, **settings) -> str:
    with pytest.raises(ValueError) as caught:
        public_tasks(PromptConfig(**settings))[name].examples("test", 5, 0)
    message = str(caught.value)
    assert message.startswith(f"dataset {name}: ") and "\n" not in message
    return message


def test_the_study_s_datasets_are_all_there():
    from mergescale.cli.datasets import study_groups

    groups = study_groups()
    named = [name for group in groups.values() for _, names in group for name in names]
    assert set(DATASETS) == set(named)
    assert len(named) == 23


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_a_declaration_agrees_with_itself(dataset):
    metrics = RANK_METRICS if dataset.kind == "rank" else GENERATION_METRICS
    assert dataset.metric in metrics
    assert set(dataset.key_columns) | set(dataset.group_by) <= set(dataset.columns)
    assert 3 <= len(dataset.templates) == len({template.name for template in dataset.templates})
    assert set(dataset.hub.splits) <= set(SPLITS)


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_loads_from_the_hub_s_columns_and_is_rendered_by_all_templates(
    hub_calls, name
):
    task = public_tasks(PromptConfig(template_mode="all"))[name]
    found = {split: task.examples(split, ALL, 0) for split in SPLITS}
    dataset = DATASETS[name]
    rows = {split: {e.row for e in examples} for split, examples in found.items()}
    assert all(rows.values())
    assert not rows["train"] & rows["test"] and not rows["validation"] & rows["test"]
    assert not rows["train"] & rows["validation"]
    # Where test answers are hidden, validation rows are tested on.
    tested = {"anli": "test_r", "app_reviews": "train"}.get(name, "test")
    tested = "validation" if name in hub_stub.HIDDEN else tested
    for example in found["test"]:
        assert tested in example.input
    for split, examples in found.items():
        assert len(examples) == len(rows[split]) * len(dataset.templates)
        for example in examples:
            assert example.input.strip() and example.target.strip()
            assert bool(example.choices) == (dataset.kind == "rank")
            assert example.target in (example.choices or example.references)
    if dataset.kind == "rank" and name != "copa":
        assert len({e.choices.index(e.target) for e in found["train"]}) > 1
    assert task.record()["revision"] == hub_stub.COMMIT
    (call,) = hub_calls
    assert call[:2] == (dataset.hub.repo, dataset.hub.revision)


def test_references_are_all_accepted_answers(hub_calls):
    tasks = public_tasks(PromptConfig())
    for name in ("adversarial_qa", "ropes", "hotpot_qa", "common_gen"):
        for example in tasks[name].examples("train", 20, 0):
            assert len(example.references) == 2
            assert example.references[0] == example.target
    assert tasks["common_gen"].record()["dropped"]["merged"] == 60


def test_three_rounds_of_anli_take_equal_shares(hub_calls):
    found = public_tasks(PromptConfig())["anli"].examples("test", 31, 0)
    rounds = [next(r for r in ("r1", "r2", "r3") if f"test_{r}" in e.input) for e in found]
    assert sorted(rounds.count(name) for name in set(rounds)) == [10, 10, 11]


def test_a_pinned_commit_is_requested_and_the_actual_one_is_recorded(hub_calls, tmp_path):
    arguments = ["task", "rte", "--source", "hub", "--revisions", "rte=abc123", "--rows", "9"]
    assert main([*arguments, "3", "5", "--out", str(tmp_path / "out")]) == 0
    assert [revision for _, revision, _ in hub_calls] == ["abc123"]
    about = json.loads((tmp_path / "out" / "task.json").read_text())
    assert about["revision"] == hub_stub.COMMIT and about["folder"] is None
    assert about["hub"] == {"repository": "aps/super_glue", "configuration": "rte"}
    assert about["rows"] == {"train": 9, "validation": 3, "test": 5}
    assert about["templates"]["source"] == "plain" and len(about["templates"]["names"]) == 4


@pytest.mark.parametrize(
    "place",
    [
        "mrpc/{split}/0000.parquet",
        "mrpc/{split}-00000-of-00001.parquet",
        "mrpc/glue-{split}.parquet",
    ],
)
def test_files_are_found_where_the_hub_puts_them(tmp_path, monkeypatch, place):
    for split in SPLITS:
        rows = [hub_stub.row("mrpc", number, split) for number in range(4)]
        hub_stub.write_parquet(tmp_path / place.format(split=split), "mrpc", rows)
    monkeypatch.setattr(row_files, "snapshot", lambda *_: tmp_path)
    task = public_tasks(PromptConfig())["mrpc"]
    assert [len(task.examples(split, ALL, 0)) for split in SPLITS] == [4, 4, 4]


def test_no_network_is_said_with_the_dataset_and_the_way_out(monkeypatch):
    def offline(*_):
        raise LocalEntryNotFoundError("outgoing traffic has been disabled.\nTo enable it, ...")

    monkeypatch.setattr(row_files, "snapshot", offline)
    message = fault("wic")
    assert "aps/super_glue at refs/convert/parquet is neither in the cache nor reachable" in message
    assert "fetch it on a machine with a network first" in message and "source folder" in message


def test_the_hub_s_own_client_respects_offline_mode(tmp_path):
    import os
    import subprocess
    import sys

    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "mergescale", "task", "copa", "--source", "hub"]
    command += ["--rows", "4", "2", "2", "--out", str(tmp_path / "out")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("mergescale: error: dataset copa: aps/super_glue at ")
    assert ended.stderr.count("\n") == 1 and "machine with a network" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_revision_that_there_is_not_is_said(monkeypatch):
    def missing(*_):
        raise RevisionNotFoundError("404", response=SimpleNamespace(headers={}, request=None))

    monkeypatch.setattr(row_files, "snapshot", missing)
    message = fault("wic", revisions={"wic": "0123abc"})
    assert "the Hugging Face hub has no aps/super_glue at 0123abc" in message
    assert "tasks.revisions.wic" in message


def test_a_split_that_the_revision_lacks_is_named(hub_calls, tmp_path):
    folder = hub_stub.snapshot(tmp_path, "rte", DATASETS["rte"].hub)
    (folder / "rte" / "validation" / "0000.parquet").unlink()
    assert "no parquet file of the split 'validation'" in fault("rte")
    assert "tasks.revisions.rte" in fault("rte")


def test_a_few_unusable_rows_of_the_hub_are_left_out_and_counted_but_not_many(hub_calls, tmp_path):
    folder = hub_stub.snapshot(tmp_path, "xsum", DATASETS["xsum"].hub)
    rows = [hub_stub.row("xsum", number) for number in range(200)]
    empty = [{**rows[0], "document": ""}, {**rows[1], "summary": ""}]
    hub_stub.write_parquet(folder / "default/train/0000.parquet", "xsum", empty + rows[2:])
    task = public_tasks(PromptConfig())["xsum"]
    assert len(task.examples("train", ALL, 0)) == 198
    assert task.record()["dropped"]["unusable"] == 2
    hub_stub.write_parquet(folder / "default/train/0000.parquet", "xsum", empty * 2 + rows[2:])
    assert "0000.parquet, row 2: the answer is hidden" in fault("xsum")
    hub_stub.write_parquet(folder / "default/train/0000.parquet", "xsum", empty[:1] * 3 + rows[3:])
    assert "0000.parquet, row 1, column 'document': the text is empty" in fault("xsum")


def test_columns_that_the_hub_renamed_and_files_that_broke_are_named(hub_calls, tmp_path):
    folder = hub_stub.snapshot(tmp_path, "qqp", DATASETS["qqp"].hub)
    file = folder / "qqp" / "train" / "0000.parquet"
    hub_stub.write_parquet(file, "mrpc", [hub_stub.row("mrpc", 0)])
    message = fault("qqp")
    assert "0000.parquet, column 'question1': the column is missing" in message
    file.write_bytes(b"PAR1 not really")
    assert f"{file}: not a readable parquet file" in fault("qqp")
    assert "fetch or write it again" in fault("qqp")


def test_without_a_network_the_table_stops_at_the_first_dataset(monkeypatch, capsys):
    calls = []

    def offline(*call):
        calls.append(call)
        raise LocalEntryNotFoundError("outgoing traffic has been disabled")

    monkeypatch.setattr(row_files, "snapshot", offline)
    assert main(["datasets", "--source", "hub"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mergescale: error: dataset dream: ") and "nor reachable" in error
    assert len(calls) == 1


def test_the_table_of_datasets_has_rows_templates_metric_and_chance(hub_calls, capsys):
    assert main(["datasets", "--source", "hub", "--held-out", "nli=anli", "coreference=wsc"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    head, _, anli, wsc = lines
    assert head[:3] == ["dataset", "role", "category"]
    assert anli == "anli held_out nli 180 180 180 3 accuracy 0.333".split()
    assert wsc[0] == "wsc" and wsc[-2:] == ["accuracy", "0.500"]
