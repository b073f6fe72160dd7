"""Metrics of generated answers, and how scores of tasks become one."""

import random

import pytest
import tiny_study

from mergescale.evaluation.metrics import exact_match, generation_score, rouge_l, squad_f1
from mergescale.evaluation.scorer import Prediction, mean_score
from mergescale.evaluation.tasks import Category, macro_average
from mergescale.models.tokenizer import Encoder

ENCODER = Encoder(tiny_study.tokenizer(), max_length=48)


@pytest.mark.parametrize(
    ("prediction", "reference", "f1", "em"),
    [
        ("The cat!", "cat", 1, 1),
        ("a cat sat", "the cat", 2 / 3, 0),
        ("dog", "cat", 0, 0),
        ("cat cat", "cat", 2 / 3, 0),
        ("the", "", 1, 1),
        ("", "cat", 0, 0),
        ("blue, red", "red blue", 1, 0),
        ("It's", "its", 1, 1),
    ],
)
def test_squad_f1_and_exact_match_by_hand(prediction, reference, f1, em):
    assert squad_f1(prediction, reference) == pytest.approx(f1)
    assert exact_match(prediction, reference) == em


@pytest.mark.parametrize(
    ("prediction", "reference", "wanted"),
    [
        ("police killed the gunman", "police kill the gunman", 3 / 4),
        ("the gunman kill police", "police kill the gunman", 1 / 2),
        ("a b c d", "a c", 2 / 3),
        ("A-b, c!", "a b c", 1),
        ("", "a", 0),
        ("...", "...", 0),
    ],
)
def test_rouge_l_by_hand(prediction, reference, wanted):
    assert rouge_l(prediction, reference) == pytest.approx(wanted)


def test_rouge_l_is_that_of_the_rouge_score_package():
    package = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = package.RougeScorer(["rougeL"], use_stemmer=False)
    rng = random.Random(0)
    for _ in range(200):
        one, other = (tiny_study.sentence(rng, rng.randint(0, 9)) for _ in range(2))
        assert rouge_l(one, other) == pytest.approx(scorer.score(other, one)["rougeL"].fmeasure)


def test_the_best_reference_counts():
    assert generation_score("exact_match", "red", ("blue", "red")) == 1
    with pytest.raises(
        ValueError, match="'bleu' is not a metric .* exact_match, squad_f1, rouge_l"
    ):
        generation_score("bleu", "red", ("red",))


def test_a_generated_answer_is_decoded_to_words_before_it_is_compared():
    target = "a dog runs to the garden, and a bird sings."
    (ids,) = ENCODER.answers([target])
    for metric in ("exact_match", "squad_f1", "rouge_l"):
        assert generation_score(metric, ENCODER.text(ids), (target,)) == 1


def test_macro_average_takes_datasets_then_categories():
    categories = [Category("a", "held_in", ("x", "y")), Category("b", "held_in", ("z",))]
    assert macro_average({"x": 0.0, "y": 1.0, "z": 1.0}, categories) == 0.75
    assert mean_score([Prediction("", "", "", score) for score in (1, 0, 0)]) == 0.333333
