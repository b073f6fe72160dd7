"""Damaged rows, prompt templates and task files: one-line errors, never a traceback."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mergescale.cli.main import main

ROWS = [
    {"premise": f"The {word} sleeps.", "hypothesis": f"A {word} rests.", "label": number % 2}
    for number, word in enumerate("cat dog cow hen fox bee ant owl bat elk emu yak".split())
]
CHOICES = "||| {{answer_choices[label]}}"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(validation=ROWS[6:], test=ROWS[:6]):
    folder = Path("rows/super_glue_rte")
    folder.mkdir(parents=True)
    for split, found in (("validation", validation), ("test", test)):
        text = found if isinstance(found, str) else "\n".join(map(json.dumps, found))
        (folder / f"{split}.jsonl").write_text(text)
    return folder


def task(*more):
    real = ["--source", "folder", "--folder", "rows", "--held-out-task"]
    return main(["task", "rte", *real, "--rows", "1", "2", "2", "--out", "out", *map(str, more)])


def refused(capsys, status, *says):
    assert status == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mergescale: error: ")
    for words in says:
        assert words in error
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[" * 100_000, "nested too deep"),
        ('{"label":' + "1" * 5000 + "}", "too many digits"),
        (json.dumps({**ROWS[0], "premise": "a \ud83d"}), "column 'premise': the text has half"),
    ],
)
def test_a_line_that_python_cannot_take_is_named(here, capsys, line, says):
    rows(test=line)
    refused(capsys, task(), "dataset rte: ", "test.jsonl, row 1", says)


def test_a_whole_pair_of_surrogates_is_a_character(here):
    rows(test=[{**row, "premise": f"{row['premise']} \U0001f600"} for row in ROWS[:6]])
    assert task() == 0


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_fifo_or_a_directory_is_not_waited_on(here, capsys, make):
    file = rows() / "test.jsonl"
    file.unlink()
    make(file)
    refused(capsys, task(), "test.jsonl is not a file")


def parquet(table):
    file = rows() / "test.jsonl"
    file.unlink()
    pq.write_table(table, file.with_suffix(".parquet"))


def test_unexpected_columns_of_a_parquet_file_are_named(here, capsys):
    parquet(pa.table({"premise": ["a"], "sentence": ["b"], "label": [0]}))
    refused(capsys, task(), "test.parquet, column 'hypothesis'", "premise, sentence, label")


def test_parquet_text_that_is_not_utf_8_is_named(here, capsys):
    ends = pa.py_buffer(b"\0\0\0\0\2\0\0\0")
    text = pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(b"\xff\xfe")])
    parquet(pa.table({"premise": text, "hypothesis": ["b"], "label": [0]}))
    refused(capsys, task(), "test.parquet, rows 1 to 1", "texts as UTF-8")


def test_a_revision_of_an_unknown_dataset_is_refused(here, capsys):
    rows()
    refused(capsys, task("--revisions", "rtee=0123abc"), "'rtee', which is not a dataset")


def render(jinja):
    folder = Path("prompts/super_glue/rte")
    folder.mkdir(parents=True)
    template = {"name": "mine", "jinja": jinja, "answer_choices": "Yes ||| No"}
    text = yaml.safe_dump({"templates": {"a": template}})
    (folder / "templates.yaml").write_text(text)
    return task("--templates", "promptsource", "--templates-folder", "prompts")


ENDLESS = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "calls": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
    "power": "{{ 9 ** (9 ** 9) }}",
    "product": "{{ premise * 10 ** 12 }}",
}


@pytest.mark.parametrize("jinja", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_template_is_stopped_and_named_with_its_row(here, capsys, jinja):
    rows()
    refused(
        capsys, render(jinja + CHOICES), "validation.jsonl, row 1", "template 'mine'", "more than"
    )


def test_loops_know_their_length_and_last_turn(here):
    rows()
    shown = (
        "{% for w in premise.split() %}{{ w }}{{ '' if loop.last else loop.length }}{% endfor %}"
    )
    assert render(shown + CHOICES) == 0
    prompts = pq.read_table("out/test.parquet").column("input").to_pylist()
    assert all(prompt.startswith("The3") and prompt.endswith("3sleeps.") for prompt in prompts)


def test_a_template_nested_too_deep_is_named(here, capsys):
    rows()
    deep = "{% if 1 %}" * 3000 + "{% endif %}" * 3000
    refused(capsys, render(deep + CHOICES), "template 'mine'", "nested too deep")


def test_templates_that_render_no_row_are_named(here, capsys):
    rows()
    refused(
        capsys,
        render("{{ premise.nothing }}" + CHOICES),
        "no validation row can be rendered",
        "mine",
    )


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nested too deep"),
        (BOMB + "templates: {a: {name: mine, jinja: *a11}}", "'mine': jinja is a list"),
        (BOMB + "templates: {a: {name: *a11, jinja: x}}", "name is a list"),
        ("templates: {2020-99-99: {name: mine}}", "put the value in quotes"),
    ],
    ids=["deep", "jinja", "name", "date"],
)
def test_a_yaml_file_that_cannot_be_taken_is_named(here, capsys, text, says):
    rows()
    folder = Path("prompts/super_glue/rte")
    folder.mkdir(parents=True)
    (folder / "templates.yaml").write_text(text)
    chosen = ["--templates", "promptsource", "--templates-folder", "prompts"]
    refused(capsys, task(*chosen), "templates.yaml", says)


@pytest.mark.parametrize("numbers", [("-1", "2", "2"), ("1", "2", "x")])
def test_rows_of_a_task_are_counts(here, numbers):
    rows()
    with pytest.raises(SystemExit):
        task("--rows", *numbers)
    assert not Path("out").exists()


def mixture(folder, *more):
    given = ["mixture", "--source", "folder", "--folder", folder, "--out", "out/m.parquet"]
    return main(list(map(str, [*given, "--rows", "4", *more])))


def test_faulty_files_of_a_mixture_and_of_its_check_are_named(here, capsys):
    Path("flan").mkdir()
    row = {"task": "t", "definition": "Do.", "input": "a", "target": "b"}
    Path("flan/a.jsonl").write_text(json.dumps(row))
    Path("tasks/rte").mkdir(parents=True)
    Path("tasks/rte/test.parquet").write_bytes(b"no parquet")
    refused(capsys, mixture("flan", "--tasks", "tasks"), "tasks/rte/test.parquet", "again")
    empty = {"id": "a", "template": "t", "input": None, "target": "x"}
    table = pa.Table.from_pylist([{**empty, "choices": [], "references": ["x"]}])
    pq.write_table(table, "tasks/rte/test.parquet")
    refused(capsys, mixture("flan", "--tasks", "tasks"), "test.parquet, row 1: input", "be text")
    os.mkfifo("flan/b.jsonl")
    refused(capsys, mixture("flan"), "flan/b.jsonl is not a file")
    with pytest.raises(SystemExit):
        mixture("flan", "--rows", "0")
