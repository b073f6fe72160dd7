"""Mixtures: sampled equally from all tasks, and without what models are evaluated on."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mergescale.cli.main import main
from mergescale.tasks.example_files import read_examples, write_examples
from mergescale.tasks.mixtures import readers
from mergescale.tasks.mixtures.decontamination import EvaluationNgrams
from mergescale.tasks.sources import mixture_examples
from mergescale.tasks.task import Example

DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
FLAN = DATA / "flan"
needs_flan = pytest.mark.skipif(not FLAN.is_dir(), reason="no mixture in ../shared/data here")

SAID = "a heron stood on one leg beside the old mill while rain fell over the quiet valley"


def rows_of(task: str, number: int, **more: str) -> list[dict]:
    return [
        {
            "task": task,
            "definition": f"Do {task}.",
            "input": f"Row {row} of {task}.",
            "target": f"Answer {row}.",
            **more,
        }
        for row in range(number)
    ]


def write_folder(folder: Path, *rows: list[dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(rows):
        text = "".join(json.dumps(row) + "\n" for row in each)
        (folder / f"{number}.jsonl").write_text(text)
    return folder


def write_task(folder: Path, name: str, *texts: str, template: str = "plain") -> Path:
    """Task files with each text as a test example's prompt, and one other validation example."""
    made = [
        Example(f"{name}-{i}", template, text, "yes", ("yes", "no"))
        for i, text in enumerate(("Something else.", *texts))
    ]
    write_examples(folder / name / "validation.parquet", made[:1])
    write_examples(folder / name / "test.parquet", made[1:])
    return folder


def hub_rows(task: str, number: int) -> list[dict]:
    return [
        {"inputs": f"Prompt {row} of {task}?", "targets": f"{row}", "task_name": task, "more": row}
        for row in range(number)
    ]


def write_parquet(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)


@pytest.fixture
def stubbed_hub(tmp_path, monkeypatch):
    """A folder in place of the hub's download, and the calls for it."""
    calls = []

    def download(repo: str, revision: str, files: str | None) -> Path:
        calls.append((repo, revision, files))
        return tmp_path / "hub"

    monkeypatch.setattr(readers, "download", download)
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub", calls


def from_hub(rows: int, seed: int = 0, **more) -> list[tuple[str, Example]]:
    place = {"repo": "some/flan", "revision": "abc", **more}
    return mixture_examples("hub", rows, seed, **place)


def fault(**more) -> str:
    with pytest.raises(ValueError) as caught:
        from_hub(10, **more)
    message = str(caught.value)
    assert "\n" not in message
    return message


def command(out: Path, *arguments: object) -> int:
    return main(["mixture", "--seed", "1", "--out", str(out), *map(str, arguments)])


def removed(folder: Path) -> list[dict[str, str]]:
    with open(folder / "removed.csv", newline="") as stream:
        return list(csv.DictReader(stream))


# --- overlap with evaluation


def example(name: str, text: str, template: str = "plain") -> Example:
    return Example(name, template, text, "yes", ("yes", "no"))


def test_an_n_gram_is_found_whatever_its_case_and_punctuation_and_a_shorter_one_is_not():
    ngrams = EvaluationNgrams({"wic": [example("w1", f"Is it so? {SAID}. Yes or no?")]}, 13)
    words = SAID.split()
    loud = " ".join(words[2:15]).upper().replace(" ", ", ")
    found = ngrams.search([("nothing", "x"), (f"Say: {loud}!", "x"), (" ".join(words[:12]), "x")])
    assert list(found) == [1]
    assert (found[1].task, found[1].example) == ("wic", "w1")
    assert found[1].ngram == " ".join(words[2:15])


def test_an_n_gram_never_reaches_from_one_text_into_the_next():
    words = SAID.split()
    first, second = " ".join(words[:8]), " ".join(words[8:])
    whole = EvaluationNgrams({"wic": [example("w1", SAID)]}, 13)
    assert whole.search([(first, second)]) == {}
    assert whole.search([(first, "x"), (second, "y")]) == {}
    assert list(whole.search([(f"{first} {second}", "x")])) == [0]
    split = EvaluationNgrams({"wic": [example("w1", first), example("w2", second)]}, 13)
    assert split.search([(SAID, "x")]) == {}


def test_choices_and_references_are_content_too():
    ending = Example("h1", "plain", "A bird.", SAID, (SAID, "no"), (SAID,))
    assert EvaluationNgrams({"hellaswag": [ending]}, 13).search([("x", SAID)])[0].example == "h1"


def test_agrees_with_a_plain_search():
    text = ["the", "cat", "dog", "saw", "a", "and"]

    def said(seed: int, words: int) -> str:
        return " ".join(text[(seed * i * i + i) % 6] for i in range(1, words))

    evaluated = [said(seed, 20) for seed in range(1, 6)]
    rows = [said(seed, 30) for seed in range(1, 60)]
    known = {tuple(e.split()[i : i + 4]) for e in evaluated for i in range(len(e.split()) - 3)}
    expected = [
        row
        for row, one in enumerate(rows)
        if any(tuple(one.split()[i : i + 4]) in known for i in range(len(one.split()) - 3))
    ]
    ngrams = EvaluationNgrams({"t": [example(str(i), e) for i, e in enumerate(evaluated)]}, 4)
    assert sorted(ngrams.search([(row, "") for row in rows])) == expected
    assert 0 < len(expected) < len(rows)


def test_the_wording_of_a_template_is_not_content_but_a_shared_passage_is():
    wording = "read the text below and then answer the question after it with yes or no"
    made = [example(str(i), f"{wording}: text number {i}") for i in range(8)]
    passage = [example(f"p{i}", f"{SAID} {i}", "other") for i in range(4)]
    rest = [example(f"r{i}", f"Another question {i}", "other") for i in range(5)]
    ngrams = EvaluationNgrams({"ropes": [*made, *passage, *rest]}, 13)
    assert ngrams.search([(wording, "x")]) == {}
    assert ngrams.search([(f"{SAID}.", "x")])[0].example == "p0"
    assert ngrams.record()["ngrams_of_wording_left_out"] == 5
    assert ngrams.record()["examples_too_short"] == 5
    # Of seven examples nothing can be told.
    assert EvaluationNgrams({"ropes": made[:7]}, 13).search([(wording, "x")])


# --- from a folder


def test_what_is_evaluated_is_removed_and_reported(tmp_path, capsys):
    planted = rows_of("birds", 1, input=f"Listen. {SAID.title()}!")
    folder = write_folder(
        tmp_path / "flan",
        rows_of("birds", 30) + planted,
        rows_of("task1393_superglue_copa_text_completion", 7),
        rows_of("fish", 30),
    )
    tasks = write_task(tmp_path / "tasks", "wic", f"What follows? {SAID}, they say.", "Nothing.")
    write_task(tasks, "rte", "Nothing here.")
    out = tmp_path / "out" / "mix.parquet"
    arguments = ["--source", "folder", "--folder", folder, "--rows", 40, "--tasks", tasks]
    assert command(out, *arguments) == 0
    drawn = read_examples(out)
    assert len(drawn) == 40
    assert not any("Heron" in e.input or "superglue" in e.id for e in drawn)
    named, overlap = sorted(removed(out.parent), key=lambda line: line["reason"])
    assert named == {
        "task": "task1393_superglue_copa_text_completion",
        "row": "",
        "reason": "name",
        "rows": "7",
        "evaluation_task": "copa",
        "evaluation_example": "",
        "ngram": "",
    }
    assert overlap["row"].startswith("birds-")
    assert overlap["ngram"] == " ".join(SAID.split()[:13])
    assert (overlap["evaluation_task"], overlap["evaluation_example"]) == ("wic", "wic-1")
    record = json.loads((out.parent / "mixture.json").read_text())
    assert record["read"] == {"rows": 68, "tasks": 3}
    assert record["drawn"] == {"rows": 40, "tasks": {"birds": 20, "fish": 20}}
    assert record["removed"]["name"] == {"rows": 7, "tasks": 1}
    assert record["removed"]["overlap"]["by_evaluation_task"] == {"wic": 1}
    assert record["checked_against"]["examples"] == 5
    assert record["checked_against"]["ngram"] == 13

    first = {file.name: file.read_bytes() for file in out.parent.iterdir()}
    assert command(out, *arguments[:-1], tasks / "rte", tasks / "wic") == 0
    assert {file.name: file.read_bytes() for file in out.parent.iterdir()} == first
    # With longer n-grams, or without the check, the row stays.
    assert command(out, *arguments, "--ngram", 20) == 0
    assert [line["reason"] for line in removed(out.parent)] == ["name"]
    assert command(out, *arguments[:-2], "--rows", 1000) == 0
    assert any("Heron" in e.input for e in read_examples(out))
    assert json.loads((out.parent / "mixture.json").read_text())["checked_against"] is None


def test_a_mixture_of_which_nothing_is_left_is_refused(tmp_path, capsys):
    folder = write_folder(tmp_path / "flan", rows_of("imdb", 3))
    out = tmp_path / "mix.parquet"
    assert command(out, "--source", "folder", "--folder", folder, "--rows", 4) == 1
    assert "all 3 rows of the mixture's source were removed, 3 by the names" in (
        capsys.readouterr().err
    )
    assert not out.exists()


def test_a_check_against_no_task_files_is_refused(tmp_path, capsys):
    folder = write_folder(tmp_path / "flan", rows_of("birds", 3))
    arguments = ["--source", "folder", "--folder", folder, "--rows", 4, "--tasks", tmp_path]
    assert command(tmp_path / "mix.parquet", *arguments) == 1
    assert "has no validation.parquet or test.parquet of a task" in capsys.readouterr().err


def test_the_micro_worlds_mixture_shares_no_ngram_with_evaluation(tmp_path):
    for task in ("copa", "wic", "hellaswag"):
        arguments = ["--source", "micro", "--rows", "1", "300", "300"]
        assert main(["task", task, *arguments, "--out", str(tmp_path / "tasks" / task)]) == 0
    arguments = ["--source", "micro", "--rows", 8000, "--ngram", 8]
    assert command(tmp_path / "all" / "mix.parquet", *arguments) == 0
    assert removed(tmp_path / "all") == []
    arguments += ["--tasks", tmp_path / "tasks"]
    assert command(tmp_path / "mix.parquet", *arguments) == 0
    lines = removed(tmp_path)
    every, left = (
        {example.id for example in read_examples(folder / "mix.parquet")}
        for folder in (tmp_path / "all", tmp_path)
    )
    assert left == every - {line["row"] for line in lines}
    # The siblings have contents of their own: hardly a row is removed.
    assert 0 < len(lines) < 0.01 * len(every)
    record = json.loads((tmp_path / "mixture.json").read_text())
    assert record["removed"]["overlap"]["rows"] == len(lines)
    assert record["drawn"]["rows"] == len(left)


@needs_flan
def test_public_rows_share_nothing_with_evaluation_rows(tmp_path):
    for task in ("copa", "rte"):
        arguments = ["--source", "folder", "--folder", str(DATA), "--rows", "1", "300", "300"]
        assert main(["task", task, *arguments, "--out", str(tmp_path / "tasks" / task)]) == 0
    arguments = ["--folder", FLAN, "--rows", 1000, "--tasks", tmp_path / "tasks"]
    assert command(tmp_path / "mix.parquet", "--source", "folder", *arguments) == 0
    assert removed(tmp_path) == []
    record = json.loads((tmp_path / "mixture.json").read_text())
    assert record["read"]["rows"] > 29_000 and record["drawn"]["rows"] == 1000
    assert record["checked_against"]["ngrams"] > 5_000


# --- from the hub


def test_parquet_rows_of_the_hub_are_drawn_alike_from_all_tasks(stubbed_hub):
    folder, calls = stubbed_hub
    write_parquet(folder / "data" / "train-0.parquet", hub_rows("a", 50) + hub_rows("b", 5))
    write_parquet(folder / "data" / "train-1.parquet", hub_rows("c/1:0", 40) + hub_rows("rte", 40))
    (folder / "notes.jsonl").write_text("not read where there is parquet")
    drawn = from_hub(45)
    names = [name for name, _ in drawn]
    assert {name: names.count(name) for name in set(names)} == {"a": 20, "b": 5, "c/1:0": 20}
    assert calls == [("some/flan", "abc", None)]
    assert drawn == from_hub(45)
    assert drawn != from_hub(45, seed=1)
    assert {e.id for _, e in from_hub(20)} <= {e.id for _, e in from_hub(30)}
    (name, one) = drawn[0]
    assert one.id.startswith(f"{name}-") and one.input.endswith(f"of {name}?")
    assert one.references == (one.target,) and one.choices == ()


def test_batches_and_files_do_not_decide_what_is_drawn(stubbed_hub, monkeypatch):
    folder, _ = stubbed_hub
    rows = hub_rows("a", 30) + hub_rows("b", 30)
    write_parquet(folder / "x.parquet", rows)
    whole = from_hub(20)
    (folder / "x.parquet").unlink()
    monkeypatch.setattr(readers, "BATCH_ROWS", 4)
    write_parquet(folder / "x.parquet", rows[::-2])
    write_parquet(folder / "y.parquet", rows[-2::-2] + rows[:10])
    assert from_hub(20) == whole


def test_json_lines_of_the_hub_are_read_zipped_or_not_under_other_names(stubbed_hub):
    folder, _ = stubbed_hub
    rows = [
        {"prompt": f" P{i} ", "completion": f"C{i}", "task": task}
        for task in ("a", "b")
        for i in range(6)
    ]
    empty = [{"prompt": "P", "completion": None, "task": "a"}, {**rows[0], "prompt": " "}]
    lines = [json.dumps(row) + "\n" for row in [*rows, *empty]]
    (folder / "one.jsonl").write_text("".join(lines[:5]) + "\n")
    (folder / "two.jsonl.gz").write_bytes(gzip.compress("".join(lines[5:]).encode()))
    columns = {"input": "prompt", "target": "completion", "task": "task"}
    drawn = from_hub(100, columns=columns)
    assert sorted((name, e.input, e.target) for name, e in drawn) == sorted(
        (row["task"], row["prompt"].strip(), row["completion"]) for row in rows
    )
    assert len(from_hub(100, columns=columns, files="one*")) == 5


def test_the_command_line_writes_a_mixture_of_the_hub_with_its_record(stubbed_hub, tmp_path):
    folder, calls = stubbed_hub
    rows = [{"p": f"Prompt {i}", "targets": "x", "task_name": "a"} for i in range(9)]
    write_parquet(folder / "x.parquet", [*rows, rows[0], {**rows[1], "targets": ""}])
    arguments = [
        "--source",
        "hub",
        "--repo",
        "some/flan",
        "--revision",
        "abc",
        "--files",
        "*.parquet",
    ]
    out = tmp_path / "out" / "mix.parquet"
    assert command(out, *arguments, "--input-column", "p", "--rows", 5) == 0
    assert len(read_examples(out)) == 5
    record = json.loads((out.parent / "mixture.json").read_text())
    assert record["repo"] == "some/flan" and record["revision"] == "abc"
    assert record["columns"] == {"input": "p", "target": "targets", "task": "task_name"}
    assert record["removed"]["empty"] == record["removed"]["repeated"] == {"rows": 1}
    assert removed(out.parent) == []


def test_bad_columns_and_files_of_the_hub_are_named(stubbed_hub):
    folder, _ = stubbed_hub
    assert "some/flan has no .parquet, .jsonl or .jsonl.gz file; use another" in fault()
    assert "of the pattern '*.csv'; correct mixture.files" in fault(files="*.csv")
    path = folder / "x.parquet"
    write_parquet(path, [{"prompt": "p", "targets": "t", "task_name": "a"}])
    message = fault()
    assert f"{path}: there is no column 'inputs' but prompt, targets, task_name" in message
    assert "set mixture.columns" in message
    write_parquet(path, [{"inputs": 1, "targets": "t", "task_name": "a"}])
    assert "the column 'inputs' has the type int64, not text" in fault()
    path.write_bytes(b"PAR")
    assert "not a readable parquet file" in fault()
    path.unlink()
    lines = folder / "x.jsonl"
    lines.write_text('{"inputs": "p", "targets": "t", "task_name": "a"}\n{"inputs": "p"}\n')
    assert f"{lines}, row 2: there is no column 'targets' but inputs" in fault()
    lines.write_text('{"inputs": ["p"], "targets": "t", "task_name": "a"}\n')
    assert "row 1: the column 'inputs' has the type list, not text" in fault()
    lines.write_text('{"inputs": \n')
    assert "x.jsonl, row 1: not valid JSON" in fault()
    lines.write_text("")
    assert "no rows with text" in fault()


def test_without_a_network_the_repository_and_the_fix_are_named(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    message = fault(revision="f" * 40)
    assert "the hub's dataset some/flan at revision ffff" in message
    assert "connect to the network" in message


def test_the_hub_needs_a_repository_and_a_revision():
    assert "mixture.repo and mixture.revision must name" in fault(revision=None)
