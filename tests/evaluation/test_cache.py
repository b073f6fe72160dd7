"""The cache of finished evaluations."""

from dataclasses import replace

import pytest
import tiny_study

from mergescale.evaluation.cache import ResultCache
from mergescale.evaluation.predictions import Prediction
from mergescale.evaluation.requests import EvalConfig, EvalTask
from mergescale.models.tokenizers import Encoder

ENCODER = Encoder(tiny_study.tokenizer(), max_length=48)


def ranked(name, rows=12):
    examples = tuple(tiny_study.ranked(name, "test", rows, tiny_study.LABELS[name]))
    return EvalTask(name, "rank", "accuracy", f"digest of {name}", examples)


class Counted:
    """What a computation gives, and how often it ran."""

    def __init__(self, result):
        self.result, self.calls = result, 0

    def __call__(self):
        self.calls += 1
        return self.result


PREDICTIONS = {
    "moods": [Prediction("1", "t", "very happy", 1.0, (-0.5, -1.25)), Prediction("2", "t", "", 0.0)]
}


def test_a_cached_result_is_not_computed_again(tmp_path):
    group, compute = [ranked("moods")], Counted(PREDICTIONS)
    for _ in range(2):
        cache = ResultCache(tmp_path, EvalConfig(), ENCODER)
        assert cache.predictions("weights", group, compute) == PREDICTIONS
    assert compute.calls == 1
    scores = Counted({"moods": 0.5})
    for _ in range(2):
        assert cache.scores("weights", group, scores) == {"moods": 0.5}
    assert scores.calls == 1


def test_other_weights_rows_settings_or_tokenizers_are_computed_again(tmp_path):
    compute = Counted(PREDICTIONS)
    base = {"weights": "a", "task": ranked("moods"), "config": EvalConfig(), "encoder": ENCODER}
    changes = [
        {},
        {"weights": "b"},
        {"task": replace(base["task"], digest="other rows")},
        {"task": replace(base["task"], metric="other metric")},
        {"config": EvalConfig(end_token=True)},
        {"config": EvalConfig(max_new_tokens=3)},
        {"encoder": Encoder(ENCODER.tokenizer, max_length=20)},
        {"encoder": replace(ENCODER, encoder_decoder=True)},
        {"encoder": Encoder(tiny_study.train_word_tokenizer(["other"]), max_length=48)},
    ]
    for number, change in enumerate(changes, 1):
        case = base | change
        cache = ResultCache(tmp_path, case["config"], case["encoder"])
        for _ in range(2):
            cache.predictions(case["weights"], [case["task"]], compute)
        assert compute.calls == number, change


def test_a_damaged_cached_result_is_computed_again(tmp_path):
    cache, compute = ResultCache(tmp_path, EvalConfig(), ENCODER), Counted(PREDICTIONS)
    cache.predictions("weights", [ranked("moods")], compute)
    (path,) = tmp_path.rglob("*.json")
    path.write_text(path.read_text()[:30])
    assert cache.predictions("weights", [ranked("moods")], compute) == PREDICTIONS
    assert compute.calls == 2


def test_a_failed_computation_caches_nothing(tmp_path):
    cache = ResultCache(tmp_path, EvalConfig(), ENCODER)
    with pytest.raises(ZeroDivisionError):
        cache.predictions("weights", [ranked("moods")], lambda: 1 / 0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
