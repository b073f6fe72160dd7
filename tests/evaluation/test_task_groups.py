"""Groups of tasks, and task files as the evaluator reads them."""

import json

import pytest
import tiny_study

from mergescale.evaluation.evaluator import Scorer
from mergescale.evaluation.requests import EvalConfig, EvalTask
from mergescale.evaluation.task_groups import load_task
from mergescale.models.tokenizers import Encoder

ENCODER = Encoder(tiny_study.tokenizer(), max_length=48)


def ranked(name, rows=12):
    examples = tuple(tiny_study.ranked(name, "test", rows, tiny_study.LABELS[name]))
    return EvalTask(name, "rank", "accuracy", f"digest of {name}", examples)


def written(name, metric="rouge_l", rows=12):
    examples = tuple(tiny_study.written(name, "test", rows))
    return EvalTask(name, "generate", metric, f"digest of {name}", examples)


def test_a_group_is_scored_alike_whatever_stands_beside_it():
    llama = tiny_study.llama(seed=4)
    groups = [[ranked("moods"), ranked("reviews")], [written("copies")], [ranked("endings")]]
    forward = Scorer(ENCODER, groups, EvalConfig(max_new_tokens=6))
    backward = Scorer(ENCODER, groups[::-1], EvalConfig(max_new_tokens=6))
    for number in range(3):
        assert forward.predict(llama, number) == backward.predict(llama, 2 - number)
    alone = Scorer(ENCODER, groups[1:2], EvalConfig(max_new_tokens=6))
    assert alone.predict(llama, 0) == forward.predict(llama, 1)


# --- task files


def test_the_rows_of_a_task_are_nested_and_decide_its_digest(tmp_path):
    tiny_study.write_task(tmp_path, "moods")
    few, many = (load_task(tmp_path, "moods", "test", rows) for rows in (4, 8))
    assert few.examples == many.examples[:4] and len(many.examples) == 8
    assert few.digest != many.digest
    assert load_task(tmp_path, "moods", "test", 4).digest == few.digest
    assert load_task(tmp_path, "moods", "validation", 4).digest != few.digest


@pytest.mark.parametrize(
    ("changes", "rows", "message"),
    [
        ({"metric": "bleu"}, 10, "'bleu' does not fit kind 'rank'; allowed: accuracy"),
        ({"metric": "rouge_l"}, 10, "'rouge_l' does not fit kind 'rank'"),
        (
            {"kind": "generate", "metric": "accuracy"},
            10,
            "allowed: bleu, exact_match, rouge_l, squad_f1",
        ),
        ({"kind": "guess"}, 10, "task.json does not describe a task: kind 'guess'"),
        ({"kind": None}, 10, "task.json does not describe a task"),
        ({}, 0, "test.parquet has no rows"),
    ],
)
def test_a_wrong_task_is_refused_by_the_name_of_its_file(tmp_path, changes, rows, message):
    tiny_study.write_task(tmp_path, "moods", rows=(1, 1, rows), **changes)
    with pytest.raises(ValueError, match=message):
        load_task(tmp_path, "moods", "test", 8)


def test_rank_tasks_need_choices(tmp_path):
    tiny_study.write_task(tmp_path, "copies", kind="rank", metric="accuracy")
    with pytest.raises(ValueError, match=r"test.parquet: example \S+ has no choices"):
        load_task(tmp_path, "copies", "test", 8)


def test_a_task_that_is_not_there_or_not_json_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="moods/task.json"):
        load_task(tmp_path, "moods", "test", 8)
    (tmp_path / "moods").mkdir()
    (tmp_path / "moods" / "task.json").write_text("{")
    with pytest.raises(ValueError, match="moods/task.json does not describe a task"):
        load_task(tmp_path, "moods", "test", 8)
    (tmp_path / "moods" / "task.json").write_text(json.dumps({"kind": "rank"}))
    with pytest.raises(ValueError, match="metric"):
        load_task(tmp_path, "moods", "test", 8)
