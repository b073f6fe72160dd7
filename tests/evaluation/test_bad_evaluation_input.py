"""Damaged task files, models and cached results: one-line errors, never a traceback."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_study

from mergescale.cli.main import main
from mergescale.models.loading import save


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, status, *says):
    assert status == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mergescale: error: ")
    for words in says:
        assert words in error
    assert not Path("out").exists()


@pytest.fixture
def study(here):
    save("base", tiny_study.llama(), tiny_study.tokenizer())
    tiny_study.write_tasks(Path("tasks"))
    return here


def evaluate(*more):
    chosen = ["--tasks", "tasks", "--held-out", "a=moods", "--test-rows", "2", "--device", "cpu"]
    return main(["evaluate", "base", *chosen, *map(str, more)])


def test_unreadable_task_files_are_named(study, capsys):
    file = Path("tasks/moods/test.parquet")
    found = pq.read_table(file).to_pylist()
    pq.write_table(pa.Table.from_pylist([{**row, "id": None} for row in found]), file)
    refused(capsys, evaluate(), "moods/test.parquet, row 1: id, ", "must be text")
    file.write_bytes(file.read_bytes()[:100])
    refused(capsys, evaluate(), "moods/test.parquet: ", "write the task again")
    file.unlink()
    refused(capsys, evaluate(), "moods/test.parquet does not exist")


@pytest.mark.parametrize("text", ["{}", "[]", '{"moods": []}', '{"moods": [{}]}', "[" * 100_000])
def test_a_damaged_cached_result_is_computed_again(study, text):
    assert evaluate("--cache-dir", "cache", "--out", "first") == 0
    (cached,) = Path("cache").rglob("*.json")
    whole = cached.read_text()
    cached.write_text(text)
    assert evaluate("--cache-dir", "cache", "--out", "second") == 0
    assert cached.read_text() == whole
    files = [Path(out, "predictions.parquet").read_bytes() for out in ("first", "second")]
    assert files[0] == files[1]


def test_whether_results_can_be_written_is_checked_before_scoring(study, capsys, monkeypatch):
    monkeypatch.setattr("mergescale.cli.evaluate._score", None)
    Path("file").write_text("")
    Path("folder.json").mkdir()
    refused(capsys, evaluate("--out", "file"), "--out file", "is not a directory")
    refused(capsys, evaluate("--out", "file/below"), "--out file/below", "is not a directory")
    refused(capsys, evaluate("--out", "folder.json"), "--out folder.json is a directory")


@pytest.mark.parametrize(
    "odd",
    [
        {"hidden_size": "x"},
        {"num_attention_heads": 0},
        {"model_type": ["llama"]},
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    ],
)
def test_a_config_that_describes_no_model_is_named(study, capsys, odd):
    config = json.loads(Path("base/config.json").read_text())
    Path("base/config.json").write_text(json.dumps(config | odd))
    refused(capsys, evaluate(), "base cannot be loaded as a model: ", "its config.json")


def test_a_tokenizer_of_a_larger_model_is_named(study, capsys):
    tokenizer = json.loads(Path("base/tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    special = {"<unk>", "<s>", "</s>", "<pad>"}
    tokenizer["model"]["vocab"] = {w: i if w in special else i + 10**6 for w, i in words.items()}
    Path("base/tokenizer.json").write_text(json.dumps(tokenizer))
    refused(capsys, evaluate(), "base: the tokenizer gives tokens", "belongs to the model")
