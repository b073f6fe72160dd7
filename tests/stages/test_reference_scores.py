"""Scores of a base, its experts and its multitask model."""

import pyarrow.parquet as pq
import pytest
import tiny_study
from stage_study import CATEGORIES

from mergescale.merging.merge_identity import weights_digest

pytest_plugins = "stage_study"


def test_references_are_scored_on_the_tasks_that_concern_them(study):
    study.references()
    every = {task for category in CATEGORIES for task in category.tasks}
    for model in ("base", "multitask"):
        record = study.record(model, "scores")
        assert (record["model"], record["expert"]) == (model, None)
        assert set(record["scores"]) == every
    record = study.record("experts/questions", "scores")
    assert (record["model"], record["expert"]) == ("expert", "questions")
    assert set(record["scores"]) == {"colors", "copies", "endings"}
    assert record["weights"] == weights_digest(study.experts["questions"])
    assert record["scores"]["colors"] == {
        "category": "questions",
        "digest": record["scores"]["colors"]["digest"],
        "metric": "squad_f1",
        "role": "held_in",
        "rows": 8,
        "score": record["scores"]["colors"]["score"],
        "truncated": 0,
    }
    # 2 models on 3 categories, 2 experts on 2.
    assert study.computed == 2 * 3 + 2 * 2


def test_predictions_hold_every_example_behind_a_score(study):
    study.references()
    table = pq.read_table(study.out / "scores-predictions" / "base.parquet")
    assert table.column_names == ["task", "id", "template", "answer", "score", "choice_scores"]
    rows = table.to_pylist()
    for task, found in study.record("base", "scores")["scores"].items():
        own = [row for row in rows if row["task"] == task]
        assert len(own) == found["rows"]
        assert sum(r["score"] for r in own) / len(own) == pytest.approx(found["score"], abs=1e-6)
        choices = len(tiny_study.LABELS.get(task, ()))
        assert {len(row["choice_scores"]) for row in own} == {choices}


def test_each_model_is_scored_with_its_own_weights(study):
    study.references()
    answers = {
        name: pq.read_table(study.out / "scores-predictions" / f"{name}.parquet").to_pylist()
        for name in ("base", "multitask", "experts/questions", "experts/sentiment")
    }
    seen = {
        str([row["choice_scores"] for row in rows if row["task"] == "endings"])
        for rows in answers.values()
    }
    assert len(seen) == 4
