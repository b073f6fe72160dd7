"""Rows become examples in disjoint splits, and a bad file is reported in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mergescale import config as study_config
from mergescale.tasks.example_files import read_examples
from mergescale.tasks.prompt_config import PromptConfig
from mergescale.tasks.public.datasets import DATASETS
from mergescale.tasks.public.public_task import public_tasks
from mergescale.tasks.sources import mixture_examples
from mergescale.tasks.task import SPLITS

ROOT = Path(__file__).parents[3]
OVERLAY = ROOT / "tests" / "public_datasets.yaml"
NAMED = yaml.safe_load(OVERLAY.read_text(encoding="utf-8"))
FOLDER = ROOT / NAMED["tasks"]["folder"]
MIXTURE = ROOT / NAMED["mixture"]["folder"]

needs_rows = pytest.mark.skipif(
    not (FOLDER.is_dir() and MIXTURE.is_dir()),
    reason=f"the rows that {OVERLAY.name} names are not on this machine",
)


def ag_news(text: str, label: int = 0) -> dict:
    return {"text": text, "label": label}


def copa(number: int, label: int, question: str = "cause") -> dict:
    return {
        "premise": f"The lamp number {number} went out.",
        "choice1": "The bulb broke.",
        "choice2": "Maps are flat.",
        "question": question,
        "label": label,
        "idx": number,
    }


def write(folder: Path, dataset: str, **splits: list) -> Path:
    """Writes splits of a dataset, each row as JSON, or as it is if it is text."""
    (folder / dataset).mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / dataset / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def write_ag_news(folder: Path, **splits: list) -> Path:
    """Writes AG News with 40/10/10 sound rows where `splits` does not say otherwise."""
    sound = {
        split: [ag_news(f"{split} news {i}", i % 4) for i in range(rows)]
        for split, rows in (("train", 40), ("validation", 10), ("test", 10))
    }
    return write(folder, "ag_news", **(sound | splits))


def examples(folder: Path, name: str, rows: int = 10_000, seed: int = 0) -> dict[str, list]:
    task = public_tasks(PromptConfig(folder=folder))[name]
    return {split: task.examples(split, rows, seed) for split in SPLITS}


def fault(folder: Path, name: str = "ag_news", split: str = "train") -> str:
    with pytest.raises(ValueError) as caught:
        public_tasks(PromptConfig(folder=folder))[name].examples(split, 5, 0)
    return str(caught.value)


def test_rows_become_examples_whose_target_is_the_choice_of_the_label(tmp_path):
    found = examples(write_ag_news(tmp_path), "ag_news")
    assert {split: len(rows) for split, rows in found.items()} == {
        "train": 40,
        "validation": 10,
        "test": 10,
    }
    labels = {f"{split} news {i}": i % 4 for split in SPLITS for i in range(40)}
    for split, rows in found.items():
        for example in rows:
            text = next(t for t in labels if example.input.endswith(t) or f"{t}\n" in example.input)
            assert text.startswith(split)
            assert example.choices.index(example.target) == labels[text]
            assert example.references == (example.target,)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_a_dataset_has_several_templates_that_differ_and_end_ready_for_an_answer(dataset):
    names = [template.name for template in dataset.templates]
    assert len(names) >= 3
    assert len(set(names)) == len(names)
    assert len({template.prompt for template in dataset.templates}) == len(names)
    for template in dataset.templates:
        assert template.prompt == template.prompt.strip()
        assert len(set(template.choices)) == len(template.choices)


def test_examples_are_the_same_each_time_nested_and_rendered_by_all_templates(tmp_path):
    write_ag_news(tmp_path, train=[ag_news(f"news {i}", i % 4) for i in range(200)])
    few = examples(tmp_path, "ag_news", 50, seed=3)["train"]
    many = examples(tmp_path, "ag_news", 150, seed=3)["train"]
    assert many[:50] == few
    assert len(many) == 150
    assert {e.template for e in many} == {"section", "topic", "editor", "about"}
    other = examples(tmp_path, "ag_news", 50, seed=4)["train"]
    assert [e.id for e in other] == [e.id for e in few]
    assert other != few


def test_which_rows_are_chosen_does_not_depend_on_their_order(tmp_path):
    rows = [ag_news(f"news {i}", i % 4) for i in range(100)]
    forth = examples(write_ag_news(tmp_path / "a", train=rows), "ag_news", 20)
    back = examples(write_ag_news(tmp_path / "b", train=rows[::-1]), "ag_news", 20)
    assert forth == back


def test_without_test_labels_validation_rows_are_tested_on_and_train_gives_validation(tmp_path):
    train = [copa(i, i % 2) for i in range(300)]
    validation = [copa(i, i % 2) for i in range(300, 340)]
    hidden = [copa(i, -1) for i in range(340, 400)]
    write(tmp_path / "hidden", "super_glue_copa", train=train, validation=validation, test=hidden)
    write(tmp_path / "none", "super_glue_copa", train=train, validation=validation)
    found = examples(tmp_path / "hidden", "copa")
    assert found == examples(tmp_path / "none", "copa")

    def lamps(split: str) -> set[int]:
        return {int(e.input.split("number ")[1].split()[0]) for e in found[split]}

    assert lamps("test") == set(range(300, 340))
    assert lamps("train") | lamps("validation") == set(range(300))
    assert not lamps("train") & lamps("validation")
    assert 15 <= len(lamps("validation")) <= 50

    # A row's split is its own affair: other rows do not move it.
    write(tmp_path / "half", "super_glue_copa", train=train[:150], validation=validation)
    half = examples(tmp_path / "half", "copa")["validation"]
    assert {e.id for e in half} <= {e.id for e in found["validation"]}


def test_a_labeled_test_split_stays_where_validation_is_missing(tmp_path):
    write_ag_news(tmp_path, train=[ag_news(f"news {i}", 0) for i in range(200)])
    (tmp_path / "ag_news" / "validation.jsonl").unlink()
    found = examples(tmp_path, "ag_news")
    assert len(found["test"]) == 10
    assert len(found["train"]) + len(found["validation"]) == 200
    assert found["validation"]


def test_a_text_in_several_splits_stays_in_the_last_one_only(tmp_path):
    both, all_three, twice = ag_news("in two"), ag_news("in three"), ag_news("twice in train", 2)
    found = examples(
        write_ag_news(
            tmp_path,
            train=[both, all_three, twice, twice, ag_news("train only")],
            validation=[all_three, both, ag_news("validation only")],
            test=[all_three],
        ),
        "ag_news",
    )
    assert {split: len(rows) for split, rows in found.items()} == {
        "train": 2,
        "validation": 2,
        "test": 1,
    }
    ids = [e.id for rows in found.values() for e in rows]
    assert len(set(ids)) == len(ids)


def test_text_is_made_readable(tmp_path):
    write_ag_news(
        tmp_path, test=[ag_news("Iran #39;s {oil} up 5 #36;\\a &lt;B&gt;barrel&lt;/B&gt;")]
    )
    assert "Iran's {oil} up 5 $ a barrel" in examples(tmp_path, "ag_news")["test"][0].input
    reviews = [{"text": f"Review {i}.<br /><br />Good.", "label": 1} for i in range(3)]
    write(tmp_path, "imdb", train=reviews[:1], validation=reviews[1:2], test=reviews[2:])
    assert "Review 2.\nGood." in examples(tmp_path, "imdb")["test"][0].input


def test_a_choice_that_continues_a_sentence_begins_small_but_for_i(tmp_path):
    rows = [
        copa(i, 0, "effect") | {"choice1": "I slept.", "choice2": "The cat slept."}
        for i in range(60)
    ]
    write(tmp_path, "super_glue_copa", train=rows[:30], validation=rows[30:40], test=rows[40:])
    (example,) = [e for e in examples(tmp_path, "copa")["test"] if e.template == "continue"][:1]
    assert example.input.endswith("went out so")
    assert example.choices == ("I slept.", "the cat slept.")


BROKEN = {
    "no JSON": ('{"text": "a", ', ["row 2", "not valid JSON", "one JSON object per line"]),
    "no object": ("[1, 2]", ["row 2", "JSON list", "one object per line"]),
    "no label": ({"text": "a"}, ["row 2, column 'label'", "missing", "the row has text", "add it"]),
    "no text": ({"label": 1}, ["row 2, column 'text'", "missing", "add it"]),
    "empty text": (ag_news(" "), ["row 2, column 'text'", "empty", "remove the row"]),
    "number for text": (ag_news(7), ["row 2, column 'text'", "is a whole number, not text"]),
    "unknown label": (
        ag_news("a", 4),
        ["row 2, column 'label'", "label 4 is unknown", "0 (World)", "3 (Sci/Tech)"],
    ),
    "one label hidden": (ag_news("a", -1), ["row 2: the answer is hidden", "remove the row"]),
    "label as text": (
        ag_news("a", "World"),
        ["row 2, column 'label'", "is text, not a whole number"],
    ),
    "label as boolean": (ag_news("a", True), ["row 2, column 'label'", "is a boolean, not"]),
}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("row, says", BROKEN.values(), ids=BROKEN)
def test_a_faulty_row_is_named_with_file_row_column_and_fix(tmp_path, split, row, says):
    write_ag_news(tmp_path, **{split: [ag_news("sound"), row, ag_news("sound too")]})
    message = fault(tmp_path)
    for part in [str(tmp_path / "ag_news" / f"{split}.jsonl"), *says]:
        assert part in message
    assert "\n" not in message


def test_text_that_is_not_utf_8_is_named(tmp_path):
    write_ag_news(tmp_path)
    (tmp_path / "ag_news" / "test.jsonl").write_bytes(b'{"text": "caf\xe9", "label": 0}\n')
    assert "test.jsonl, row 1: not UTF-8" in fault(tmp_path)


def test_other_line_ends_inside_a_text_do_not_end_its_row(tmp_path):
    row = json.dumps(ag_news("one\u2028two\x85three"), ensure_ascii=False)
    write_ag_news(tmp_path)
    (tmp_path / "ag_news" / "test.jsonl").write_bytes(f"\ufeff{row}\r\n\r\n".encode())
    assert len(examples(tmp_path, "ag_news")["test"]) == 1


def test_an_unknown_question_of_copa_is_named(tmp_path):
    write(tmp_path, "super_glue_copa", train=[copa(1, 0), copa(2, 0, "reason")])
    message = fault(tmp_path, "copa")
    assert "train.jsonl, row 2, column 'question': 'reason' is unknown" in message
    assert "use one of cause, effect" in message


def test_missing_and_empty_files_are_named(tmp_path):
    message = fault(tmp_path)
    assert f"{tmp_path / 'ag_news'} is not a directory" in message
    assert "as train, validation, test (.jsonl or .parquet) with the columns text" in message

    write_ag_news(tmp_path / "empty", validation=[])
    assert "validation.jsonl: the split is empty; give it rows, or remove" in fault(
        tmp_path / "empty"
    )

    write(tmp_path / "train only", "ag_news", train=[ag_news(f"{i}") for i in range(50)])
    assert "neither test nor validation rows have answers" in fault(tmp_path / "train only")

    write_ag_news(tmp_path / "few", train=[ag_news("a")])
    (tmp_path / "few" / "ag_news" / "validation.jsonl").unlink()
    assert "no row is left for" in fault(tmp_path / "few")


def test_a_split_that_there_is_not_is_refused(tmp_path):
    assert "is not one of train, validation, test" in fault(write_ag_news(tmp_path), split="dev")


def instruction(task: str, number: int) -> dict:
    return {
        "task": task,
        "category": "Any",
        "definition": f"Do {task}.",
        "input": f"Row {number} has {{braces}}.",
        "target": f"Answer {number}.",
    }


def mixture(folder: Path, rows: int, seed: int) -> list:
    return mixture_examples("folder", rows, seed, folder=folder)


def test_a_mixture_draws_alike_from_all_tasks_and_more_where_one_runs_short(tmp_path):
    write(tmp_path, "flan", small=[instruction("small", i) for i in range(5)])
    two = [instruction("big", i) for i in range(50)] + [instruction("other", i) for i in range(50)]
    write(tmp_path, "flan", two=two + two[:10])
    drawn = mixture(tmp_path / "flan", 45, 0)
    names = [name for name, _ in drawn]
    assert {name: names.count(name) for name in names} == {"small": 5, "big": 20, "other": 20}
    assert names != sorted(names)
    assert drawn == mixture(tmp_path / "flan", 45, 0)
    assert drawn != mixture(tmp_path / "flan", 45, 1)
    assert len({e.id for _, e in drawn}) == 45
    for name, example in drawn:
        parts = example.input.split("\n\n")
        assert sorted(parts)[0] == f"Do {name}."
        assert sorted(parts)[1].endswith("has {braces}.")
        assert parts[0].startswith("Do") == (example.template == "told_first")
        assert example.choices == ()
    assert len(mixture(tmp_path / "flan", 10_000, 0)) == 105


def test_a_faulty_mixture_is_named(tmp_path):
    (tmp_path / "flan").mkdir()
    with pytest.raises(ValueError, match="no .jsonl file; put files there with the columns task"):
        mixture(tmp_path / "flan", 5, 0)
    row = instruction("a", 1)
    del row["target"]
    write(tmp_path, "flan", a=[instruction("a", 0), row])
    with pytest.raises(ValueError, match="a.jsonl, row 2, column 'target': the column is missing"):
        mixture(tmp_path / "flan", 5, 0)


def test_the_command_line_writes_task_files(tmp_path, monkeypatch):
    from mergescale.cli.main import main

    write_ag_news(tmp_path)
    arguments = ["task", "ag_news", "--source", "folder", "--folder", str(tmp_path)]
    arguments += ["--rows", "20", "5", "5", "--out", str(tmp_path / "out")]
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert main(arguments) == 0
    assert len(read_examples(tmp_path / "out" / "train.parquet")) == 20
    assert json.loads((tmp_path / "out" / "task.json").read_text())["chance"] == 0.25
    assert not (tmp_path / "home").exists()


@needs_rows
def test_the_public_datasets_study_is_a_valid_configuration():
    config = study_config.load(ROOT / "config" / "config.yaml", OVERLAY)
    assert config["study"] == "public_datasets"
    assert config["tasks"]["held_in"] == {
        "sentiment": ["imdb"],
        "topic_classification": ["ag_news"],
    }
    assert config["tasks"]["held_out"] == {
        "sentence_completion": ["copa"],
        "natural_language_inference": ["rte"],
    }
    assert list(config["models"]["sizes"]) == ["stories260K"]
    assert config["draws"]["counts"] == [2]


@needs_rows
def test_the_larger_study_is_valid_with_rows_in_the_folder_that_it_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overlay = ROOT / "config" / "public_datasets.yaml"
    with pytest.raises(study_config.ConfigError, match='tasks.folder is "rows"'):
        study_config.load(ROOT / "config" / "config.yaml", overlay)
    (tmp_path / "rows" / "checkpoints").mkdir(parents=True)
    for path in FOLDER.iterdir():
        if path.name != "checkpoints":
            (tmp_path / "rows" / path.name).symlink_to(path)
    (checkpoint,) = (FOLDER / "checkpoints").iterdir()
    (tmp_path / "rows" / "checkpoints" / "small").symlink_to(checkpoint)
    config = study_config.load(ROOT / "config" / "config.yaml", overlay)
    assert config["study"] == "public_datasets" and len(config["tasks"]["held_in"]) == 8


@needs_rows
def test_a_public_mixture_has_many_tasks():
    drawn = mixture_examples("folder", 2000, 0, folder=MIXTURE)
    assert len(drawn) == 2000
    assert len({name for name, _ in drawn}) > 100
