"""`mergescale show` prints every kind of artifact, and refuses what it does not know."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_study

from mergescale.cli.main import main
from mergescale.models.loading import load
from mergescale.tasks.example_files import write_documents, write_examples
from mergescale.tasks.task import Example

SCORES = {
    "model": "merge",
    "method": "ties",
    "constituents": ["qa", "nli"],
    "recipe": {"method": "ties", "lambda": 0.5, "parameters": {"density": 0.2}},
    "sweep": [
        {"density": 0.2, "lambda": 0.0, "score": 0.25, "tasks": {"moods": 0.25}},
        {"density": 0.2, "lambda": 0.5, "score": 0.75, "tasks": {"moods": 0.75}},
    ],
    "scores": {"moods": {"category": "sentiment", "role": "held_in", "rows": 4, "score": 0.5}},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    tiny_study.write_tasks(folder / "tasks")
    tiny_study.write_models(folder / "model")
    tiny_study.tokenizer().save_pretrained(folder / "tokenizer")
    write_documents(folder / "corpus.parquet", [f"document {n} ." for n in range(40)])
    examples = [Example(id=f"r{n}", template="t", input=f"in {n}", target="out") for n in range(4)]
    write_examples(folder / "flan.parquet", examples, tasks=["copy", "copy", "copy", "sort"])
    (folder / "ties.json").write_text(json.dumps(SCORES))
    (folder / "draws.csv").write_text(
        "count,seed,categories\n" + "".join(f"2,{seed},a;b\n" for seed in range(50))
    )
    predictions = {
        "task": ["moods", "moods", "rte"],
        "id": ["1", "2", "3"],
        "answer": ["good", "bad", "yes"],
        "score": [1.0, 0.0, 1.0],
    }
    pq.write_table(pa.table(predictions), folder / "predictions.parquet")
    return folder


@pytest.fixture
def show(study, monkeypatch, capsys):
    monkeypatch.chdir(study)

    def run(*words):
        status = main(["show", *map(str, words)])
        output = capsys.readouterr()
        assert status == 0, output.err
        return output.out

    return run


def lines(text):
    """The lines of an output, with one blank between words."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_examples_of_a_task(show):
    text = lines(show("tasks/moods/test.parquet", "--rows", 1))
    assert "row 1 of" in "\n".join(text) and not any(line.startswith("row 2") for line in text)
    assert any(line.startswith("input ") for line in text)
    assert any(line.startswith("choices ") for line in text)


def test_documents_of_a_corpus(show):
    assert "text document 2 ." in lines(show("corpus.parquet"))
    assert "text document 39 ." not in lines(show("corpus.parquet"))
    assert "text document 39 ." in lines(show("corpus.parquet", "--rows", 0))


def test_a_mixture_is_grouped_by_task(show):
    text = lines(show("flan.parquet"))
    assert "task examples share" in text
    assert "copy 3 75.0%" in text and "sort 1 25.0%" in text


def test_predictions_have_a_mean_score_for_each_task(show):
    text = lines(show("predictions.parquet", "--rows", 2))
    assert "moods 2 0.500" in text and "rte 1 1.000" in text
    assert "row 2 of 3" in text and "row 3 of 3" not in text


def test_a_task_and_its_metric(show):
    assert any(line.startswith("metric ") for line in lines(show("tasks/moods/task.json")))


def test_a_score_file_marks_the_selected_values_of_its_sweep(show):
    text = lines(show("ties.json"))
    assert "constituents qa, nli" in text
    assert "fixed: density 0.2" in text
    assert "lambda mean moods" in text
    assert "0 0.250 0.250" in text and "0.5 0.750 0.750 selected" in text
    assert "moods sentiment held_in 4 0.500" in text


def test_a_table(show):
    text = lines(show("draws.csv"))
    assert text[1:3] == ["count seed categories", "2 0 a;b"]
    assert "... 20 more rows; --rows 0 prints all" in text
    assert "2 49 a;b" in lines(show("draws.csv", "--rows", 0))


def test_a_model_with_its_architecture_and_number_of_parameters(show, study):
    text = lines(show("model"))
    assert "architecture LlamaForCausalLM" in text
    counted = sum(p.numel() for p in load(study / "model")[0].parameters())
    assert f"parameters {counted:,}" in text
    assert any(line.startswith("special tokens") for line in text)


def test_the_names_in_any_other_folder(show):
    text = lines(show("tasks"))
    assert text[0].startswith("tasks: ") and "moods/ 4 entries" in text


def test_the_output_of_evaluate(study, show):
    (study / "out").mkdir(exist_ok=True)
    (study / "out" / "scores.json").write_text(json.dumps(SCORES))
    assert any(line.startswith("moods sentiment held_in") for line in lines(show("out")))


def test_a_continuation_of_a_text(show):
    text = show("model", "--generate", "the cat", "--max-new-tokens", 3)
    assert text.startswith("the cat")


def test_a_tokenizer(show):
    assert "kind WordLevel" in lines(show("tokenizer"))


@pytest.mark.parametrize(
    "words, message",
    [
        (["nothing.csv"], "nothing.csv does not exist"),
        (["page.html"], "page.html cannot be shown; allowed: .csv, .json, "),
        (["tokeniser"], "tokeniser does not exist; did you mean tokenizer?"),
        (["broken.parquet"], "broken.parquet is not a readable parquet file"),
        (["broken.json"], "broken.json is not readable JSON"),
        (["tokenizer", "--generate", "a"], "--generate needs a model folder"),
    ],
)
def test_what_cannot_be_shown_is_one_line(study, monkeypatch, capsys, words, message):
    monkeypatch.chdir(study)
    Path("page.html").write_text("<html>")
    Path("broken.parquet").write_bytes(b"PAR1")
    Path("broken.json").write_text("{")
    assert main(["show", *words]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_control_characters_cannot_steer_the_terminal(study, show):
    (study / "odd.csv").write_text("name\n\x1b[31mred\n")
    text = show("odd.csv")
    assert "\x1b" not in text and "\\x1b[31mred" in text
