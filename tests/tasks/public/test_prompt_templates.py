"""Templates, splits and near-duplicates of public datasets, on rows in the hub's columns."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from types import ModuleType

import hub_stub
import pytest

from mergescale.cli.main import main
from mergescale.tasks.example_files import read_examples, subset
from mergescale.tasks.prompt_config import PromptConfig
from mergescale.tasks.public.public_task import public_tasks
from mergescale.tasks.task import SPLITS, Example

ALL = 10_000
FOLDERS = {"anli": "anli", "dream": "dream", "hotpot_qa": "kilt_hotpotqa", "xsum": "xsum"}
FOLDERS |= {"wsc": "super_glue_wsc.fixed", "mrpc": "glue_mrpc", "hellaswag": "hellaswag"}
FOLDERS |= {
    "wiki_bio": "wiki_bio",
    "app_reviews": "app_reviews",
    "adversarial_qa": "adversarial_qa",
}


def write(root, name, *, parquet=False, **splits):
    """Write splits of a dataset, each a list of rows."""
    folder = root / FOLDERS[name]
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        if parquet:
            hub_stub.write_parquet(folder / f"{split}.parquet", name, rows)
        else:
            text = "".join(f"{json.dumps(row)}\n" for row in rows)
            (folder / f"{split}.jsonl").write_text(text)
    return root


def rows_of(name, split="train", count=30, **changes):
    return [hub_stub.row(name, number, split) | changes for number in range(count)]


def whole(name, count=30):
    return {split: rows_of(name, split, count) for split in SPLITS}


def task_in(root, name, **settings):
    return public_tasks(PromptConfig(folder=root, **settings))[name]


def fault(root, name, **settings):
    with pytest.raises(ValueError) as caught:
        task_in(root, name, **settings).examples("train", 5, 0)
    assert str(caught.value).startswith(f"dataset {name}: ")
    return str(caught.value)


def test_parquet_and_json_lines_give_the_same_examples(tmp_path):
    for name in ("hotpot_qa", "wsc", "hellaswag"):
        write(tmp_path / "json", name, **whole(name))
        write(tmp_path / "parquet", name, parquet=True, **whole(name))
        for split in SPLITS:
            forth = task_in(tmp_path / "json", name).examples(split, ALL, 3)
            assert forth == task_in(tmp_path / "parquet", name).examples(split, ALL, 3)
            assert len(forth) == 30


def test_two_files_for_one_split_are_refused(tmp_path):
    write(tmp_path, "mrpc", **whole("mrpc"))
    write(tmp_path, "mrpc", parquet=True, test=rows_of("mrpc", "test"))
    assert "test.jsonl and " in fault(tmp_path, "mrpc")
    assert "same split; keep one" in fault(tmp_path, "mrpc")


FAULTS = {
    "answer that is no choice": (
        "dream",
        {"answer": "upwards"},
        [
            "row 3, column 'answer': the answer 'upwards' is not one of the choices",
            "correct the answer",
        ],
    ),
    "choices that are no list": ("dream", {"choice": "left"}, ["'choice': the value is text, not"]),
    "number among choices": (
        "dream",
        {"choice": ["a", 2]},
        ["'choice': the value has an entry (number 2) that is a whole number, not text"],
    ),
    "answers without text": (
        "adversarial_qa",
        {"answers": {"answer_start": [1]}},
        ["'answers': the value lacks the key 'text'", "must be object of text (list of text)"],
    ),
    "number of stars": ("app_reviews", {"star": 6}, ["'star': the label 6 is unknown", "1 (one"]),
    "ending that is not there": (
        "hellaswag",
        {"label": "4"},
        ["'label': the label '4' is not the number of one of the 4 endings"],
    ),
    "null": ("xsum", {"summary": None}, ["'summary': the value is null, not text"]),
    "empty document": ("xsum", {"document": " "}, ["'document': the text is empty; fill it in"]),
}


@pytest.mark.parametrize("name, change, says", FAULTS.values(), ids=FAULTS)
def test_a_row_that_cannot_be_used_is_named(tmp_path, name, change, says):
    rows = rows_of(name)
    rows[2] |= change
    write(tmp_path, name, **whole(name) | {"train": rows})
    message = fault(tmp_path, name)
    for part in [str(tmp_path / FOLDERS[name] / "train.jsonl"), "row 3, column", *says]:
        assert part in message


def test_a_dataset_of_one_split_gives_all_three_by_hashes_that_do_not_move(tmp_path):
    write(tmp_path, "app_reviews", train=rows_of("app_reviews", count=400))
    write(tmp_path / "half", "app_reviews", train=rows_of("app_reviews", count=200))
    found = {s: task_in(tmp_path, "app_reviews").examples(s, ALL, 0) for s in SPLITS}
    assert sum(map(len, found.values())) == 400
    assert all(20 <= len(found[split]) <= 70 for split in SPLITS[1:])
    half = task_in(tmp_path / "half", "app_reviews").examples("test", ALL, 0)
    assert {e.id for e in half} < {e.id for e in found["test"]}


def test_questions_on_one_text_stay_on_one_side_of_a_split_that_is_divided(tmp_path):
    texts = [f"Paragraph {number}." for number in range(100)]
    rows = [
        hub_stub.row("adversarial_qa", number) | {"context": texts[number // 4]}
        for number in range(400)
    ]
    write(tmp_path, "adversarial_qa", train=rows, test=rows_of("adversarial_qa", "test"))
    task = task_in(tmp_path, "adversarial_qa")
    train, validation = (
        {text for text in texts for e in task.examples(split, ALL, 0) if text in e.input}
        for split in ("train", "validation")
    )
    assert validation and not train & validation


LONG = "one two three four five six seven eight nine ten eleven twelve thirteen"


def test_training_rows_that_share_13_words_with_other_splits_are_dropped_and_counted(tmp_path):
    rows = whole("xsum")
    rows["train"][4]["document"] = f"Before it: {LONG.upper()}, and more after."
    rows["train"][5]["document"] = f"Twelve words are few: {LONG.rsplit(' ', 1)[0]} hundred."
    rows["validation"][1]["document"] = f"{LONG}."
    write(tmp_path, "xsum", **rows)
    dropping, keeping = task_in(tmp_path, "xsum"), task_in(tmp_path, "xsum", overlap="keep")
    kept = {e.input for e in dropping.examples("train", ALL, 0)}
    assert len(kept) == 29 and not any("TWELVE" in text for text in kept)
    assert any("Twelve words are few" in text for text in kept)
    assert len(keeping.examples("train", ALL, 0)) == 30
    for task, rule in ((dropping, "drop"), (keeping, "keep")):
        assert task.record()["overlap"] == {
            "rule": rule,
            "train_rows_checked": 30,
            "train_rows_found": 1,
        }
    # The next row takes the place of a dropped one.
    assert len(dropping.examples("train", 29, 0)) == 29


def test_the_column_headers_of_tables_are_no_near_duplicates(tmp_path):
    def row(number, split):
        made = hub_stub.row("wiki_bio", number, split)
        table = {"column_header": [f"header_{n}" for n in range(20)], "row_number": [1] * 20}
        table["content"] = [f"{split} {number}", *["<none>"] * 19]
        made["input_text"]["table"] = table
        return made

    splits = {name: [row(number, name) for number in range(5)] for name in ("train", "val", "test")}
    write(tmp_path, "wiki_bio", **splits)
    task = task_in(tmp_path, "wiki_bio")
    assert len(task.examples("train", ALL, 0)) == 5


def test_all_templates_see_the_same_rows(tmp_path):
    write(tmp_path, "mrpc", **whole("mrpc"))
    one, every = task_in(tmp_path, "mrpc"), task_in(tmp_path, "mrpc", template_mode="all")
    single, found = one.examples("test", 7, 0), every.examples("test", 7, 0)
    assert [e.row for e in found] == [e.id for e in single for _ in range(3)]
    assert {e.id for e in found} == {f"{e.row}/{e.template}" for e in found}
    sampled = {(e.id, e.template): e.input for e in single}
    assert sampled.items() <= {(e.row, e.template): e.input for e in found}.items()
    chosen = subset(found, 4)
    assert [e.row for e in chosen] == [e.id for e in subset(single, 4) for _ in range(3)]
    # Numbers count rows all along: tasks.rows, evaluation.test_rows, task.json.
    arguments = [
        "task",
        "mrpc",
        "--source",
        "folder",
        "--folder",
        str(tmp_path),
        "--template-mode",
        "all",
    ]
    assert main([*arguments, "--rows", "9", "5", "7", "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "task.json").read_text())["rows"]["test"] == 7
    assert len(read_examples(tmp_path / "out" / "test.parquet")) == 21


def test_a_slash_in_an_id_is_no_template():
    names = [f"super_glue/wsc-{number}" for number in range(5)]
    examples = [Example(name, "plain", "Q", "A") for name in names]
    assert [e.row for e in examples] == names
    assert len(subset(examples, 3)) == 3


def test_a_held_out_dataset_needs_no_training_rows_and_a_held_in_one_does(tmp_path, capsys):
    rounds = {
        f"{split}_r{n}": rows_of("anli", f"{split}{n}", 10)
        for split in ("dev", "test")
        for n in (1, 2, 3)
    }
    write(tmp_path, "anli", **rounds)
    arguments = ["task", "anli", "--source", "folder", "--folder", str(tmp_path)]
    arguments += ["--rows", "9", "6", "6", "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert "task anli has no train rows in source 'folder'" in error
    assert "list it under tasks.held_out" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--held-out-task"]) == 0
    assert read_examples(tmp_path / "out" / "train.parquet") == []
    about = json.loads((tmp_path / "out" / "task.json").read_text())
    assert about["rows"] == {"train": 0, "validation": 6, "test": 6}
    inputs = " ".join(e.input for e in read_examples(tmp_path / "out" / "test.parquet"))
    assert all(f"premise test{n}" in inputs for n in (1, 2, 3))


@dataclass(frozen=True)
class Rendered:
    input: str
    targets: tuple[str, ...]
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompt:
    name: str
    original_task: bool
    answer_choices: str | None
    rendered: object

    def render(self, row):
        return self.rendered(row)


@pytest.fixture
def promptsource(monkeypatch):
    """promptsource's templates are what the test puts into the list."""
    templates, requests = [], []
    module = ModuleType("mergescale.tasks.promptsource")
    module.load_templates = lambda folder, path: requests.append((folder, path)) or templates
    monkeypatch.setitem(sys.modules, "mergescale.tasks.promptsource", module)
    return templates, requests


def test_promptsource_s_templates_see_the_hub_s_raw_columns(tmp_path, promptsource):
    templates, requests = promptsource
    words = ("no", "yes")
    templates += [
        Prompt(
            "idx",
            True,
            "",
            lambda r: Rendered(f"{r['idx']} {r['sentence1']}", (words[r["label"]],), words),
        ),
        Prompt(
            "odd only", True, "", lambda r: Rendered("odd", ("no",), words) if r["label"] else None
        ),
        Prompt("other task", False, "", lambda r: 1 / 0),
        Prompt("free text", True, None, lambda r: 1 / 0),
    ]
    for parquet in (False, True):
        root = write(tmp_path / str(parquet), "mrpc", parquet=parquet, **whole("mrpc"))
        settings = {"templates": "promptsource", "templates_folder": tmp_path}
        task = task_in(root, "mrpc", **settings)
        found = task.examples("test", ALL, 0)
        assert len(found) == 30 and {e.template for e in found} == {"idx", "odd only"}
        assert all(e.input == "odd" or e.input.startswith("0 sentence1 test") for e in found)
        assert task.record()["templates"]["names"] == ["idx", "odd only"]
        every = task_in(root, "mrpc", template_mode="all", **settings).examples("test", ALL, 0)
        assert sum(e.template == "idx" for e in every) == 30
        assert sum(e.template == "odd only" for e in every) == 15
    assert requests[0] == (tmp_path, "glue/mrpc")


def test_promptsource_s_targets_are_references_and_unfit_templates_are_named(
    tmp_path, promptsource
):
    templates, _ = promptsource
    answers = lambda row: tuple(given["answer"] for given in row["output"] if given["answer"])  # noqa: E731
    templates.append(Prompt("q", False, None, lambda r: Rendered(r["input"], answers(r))))
    write(tmp_path, "hotpot_qa", **whole("hotpot_qa"))
    settings = {"templates": "promptsource", "templates_folder": tmp_path}
    example = task_in(tmp_path, "hotpot_qa", **settings).examples("test", 1, 0)[0]
    assert len(example.references) == 2 and example.choices == ()

    write(tmp_path, "mrpc", **whole("mrpc"))
    assert "none of promptsource's 1 templates fits" in fault(tmp_path, "mrpc", **settings)
    templates[:] = [Prompt("bad", True, "", lambda r: Rendered("Q", ("perhaps",), ("no", "yes")))]
    message = fault(tmp_path, "mrpc", **settings)
    assert "template 'bad': the target 'perhaps' is not one of the choices" in message
    with pytest.raises(ValueError, match="tasks.templates.folder must name a folder"):
        task_in(tmp_path, "mrpc", templates="promptsource").examples("test", 1, 0)
