"""Metrics of generated answers, and how scores of tasks become one."""

import random
import subprocess
import sys

import metric_oracle
import pytest
import sacrebleu
import tiny_study
from rouge_score.rouge_scorer import RougeScorer

from mergescale.evaluation.metrics import (
    GENERATION_METRICS,
    METRICS,
    RANK_METRICS,
    load_metric,
    score_answers,
)
from mergescale.evaluation.predictions import Prediction, mean_score
from mergescale.evaluation.task_groups import Category, macro_average
from mergescale.models.tokenizers import Encoder

ENCODER = Encoder(tiny_study.tokenizer(), max_length=48)


def score(metric, prediction, *references):
    (value,) = score_answers(metric, [prediction], [references])
    return value


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
    assert score("squad_f1", prediction, reference) == pytest.approx(f1)
    assert score("exact_match", prediction, reference) == em


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("police killed the gunman", "police kill the gunman", 3 / 4),
        ("the gunman kill police", "police kill the gunman", 1 / 2),
        ("a b c d", "a c", 2 / 3),
        ("A-b, c!", "a b c", 1),
        ("", "a", 0),
        ("...", "...", 0),
    ],
)
def test_rouge_l_by_hand(prediction, reference, expected):
    assert score("rouge_l", prediction, reference) == pytest.approx(expected)


# The examples that the SQuAD 1.1 and 2.0 evaluation scripts and the metric's cards are shown with.
@pytest.mark.parametrize(
    ("prediction", "references", "f1", "em"),
    [
        ("1976", ("1976",), 1, 1),
        ("Santa Clara, California", ("Santa Clara, California", "Levi's Stadium"), 1, 1),
        ("the Denver Broncos", ("Denver Broncos", "Denver Broncos"), 1, 1),
        ("Denver", ("Denver Broncos", "Denver Broncos"), 2 / 3, 0),
        ("Levi's Stadium in Santa Clara", ("Levi's Stadium", "Santa Clara"), 4 / 7, 0),
    ],
)
def test_squad_by_published_examples(prediction, references, f1, em):
    assert score("squad_f1", prediction, *references) == pytest.approx(f1)
    assert score("exact_match", prediction, *references) == em


# --- BLEU and ROUGE-L against the same metrics written by hand


def punctuation(rng):
    """A text with everything that BLEU's tokenizer treats in a special way."""
    parts = [
        *"..,,--'%&(/@[~\n",
        "&quot;",
        "&amp;lt;",
        "3.5",
        "1,000",
        "5-",
        "cat",
        "Dog",
        " ",
        " ",
    ]
    return "".join(rng.choice(parts) for _ in range(rng.randint(0, 12)))


def sentence(rng):
    return tiny_study.sentence(rng, rng.randint(0, 9))


def random_texts(count):
    """Predictions, each with one to three references; some of them empty."""
    rng = random.Random(0)
    rows = []
    for _ in range(count):
        text = punctuation if rng.random() < 0.5 else sentence
        rows.append([text(rng) for _ in range(rng.randint(2, 4))])
    return [row[0] for row in rows], [row[1:] for row in rows]


def test_rouge_l_equals_the_handwritten_one_to_the_last_bit():
    predictions, references = random_texts(600)
    expected = [*map(metric_oracle.rouge_l, predictions, references)]
    assert score_answers("rouge_l", predictions, references) == expected
    assert len(set(expected)) > 30


def test_rouge_l_is_that_of_the_rouge_score_package():
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    predictions, references = random_texts(200)
    expected = [
        scorer.score_multi(own, prediction)["rougeL"].fmeasure
        for prediction, own in zip(predictions, references, strict=True)
    ]
    assert score_answers("rouge_l", predictions, references) == pytest.approx(expected)


def test_bleu_equals_the_handwritten_one():
    predictions, references = random_texts(600)
    expected = [*map(metric_oracle.bleu, predictions, references)]
    assert score_answers("bleu", predictions, references) == pytest.approx(expected, abs=1e-12)
    assert len({round(value, 3) for value in expected}) > 50
    assert max(score_answers("bleu", predictions, [[p] for p in predictions])) == 1


def test_bleu_is_that_of_the_sacrebleu_package():
    predictions, references = random_texts(100)
    expected = [
        sacrebleu.sentence_bleu(prediction, own).score / 100
        for prediction, own in zip(predictions, references, strict=True)
    ]
    assert score_answers("bleu", predictions, references) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("length", [2, 12])
@pytest.mark.parametrize("several", [False, True])
def test_bleu_of_a_corpus_equals_the_handwritten_one(length, several):
    rng = random.Random(1)

    def text():
        return tiny_study.sentence(rng, rng.randint(1, length))

    predictions = [text() for _ in range(40)]
    references = [[text() for _ in range(1 + several * (n % 3))] for n in range(40)]
    expected = metric_oracle.corpus_bleu(predictions, references)
    computed = load_metric("bleu").compute(predictions=predictions, references=references)
    assert computed["corpus_bleu"] == pytest.approx(expected, abs=1e-12)
    assert bool(expected) == (length == 12)


# --- scores of examples and of tasks


def test_the_best_reference_counts():
    assert score("exact_match", "red", "blue", "red") == 1
    assert score("rouge_l", "a red fish", "blue", "red fish") == pytest.approx(4 / 5)


@pytest.mark.parametrize("metric", ["chrf", "accuracy", "base"])
def test_only_metrics_of_generated_answers_score_them(metric):
    allowed = "allowed: bleu, exact_match, rouge_l, squad_f1"
    with pytest.raises(ValueError, match=f"'{metric}' is not a metric .*; {allowed}"):
        score_answers(metric, ["red"], [["red"]])


def test_a_generated_answer_is_decoded_to_words_before_it_is_compared():
    target = "a dog runs to the garden, and a bird sings."
    (ids,) = ENCODER.answers([target])
    for metric in GENERATION_METRICS:
        assert score(metric, ENCODER.text(ids), target) == 1


def test_macro_average_takes_datasets_then_categories():
    categories = [Category("a", "held_in", ("x", "y")), Category("b", "held_in", ("z",))]
    assert macro_average({"x": 0.0, "y": 1.0, "z": 1.0}, categories) == 0.75
    assert mean_score([Prediction("", "", "", score) for score in (1, 0, 0)]) == 0.333333


# --- as modules of the library `evaluate`


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a metric must not use the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


def similar_texts(count=20):
    rng = random.Random(2)
    predictions = [tiny_study.sentence(rng, rng.randint(4, 8)) for _ in range(count)]
    near = [p if rng.random() < 0.3 else p.replace("the", "a", 1)[4:] for p in predictions]
    return predictions, [[one, tiny_study.sentence(rng, 5)] for one in near]


def test_metrics_are_found_by_their_files():
    assert METRICS == ("accuracy", "bleu", "exact_match", "rouge_l", "squad_f1")
    assert (*RANK_METRICS, *GENERATION_METRICS) == METRICS


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_metrics_of_many_answers_are_the_means_of_their_scores(metric, several, no_network):
    predictions, references = similar_texts()
    lists = references if several else [own[:1] for own in references]
    given = references if several else [own[0] for own in references]
    module = load_metric(metric)
    computed = module.compute(predictions=predictions, references=given)
    if metric == "accuracy":
        expected = [float(p in own) for p, own in zip(predictions, lists, strict=True)]
    else:
        expected = score_answers(metric, predictions, lists)
    assert computed["scores"] == expected
    assert computed[metric] == pytest.approx(sum(expected) / len(expected))
    assert 0 < computed[metric] < 1
    assert computed.keys() - {"corpus_bleu"} == {metric, "scores"}
    assert module.name == metric and module.description


def test_metrics_collect_batches_and_unknown_ones_are_refused(no_network):
    metric = load_metric("squad_f1")
    metric.add_batch(predictions=["red", "blue"], references=["red", "a blue fish"])
    metric.add(prediction="cat", reference="dog")
    computed = metric.compute()
    assert computed["squad_f1"] == pytest.approx((1 + 2 / 3) / 3)
    with pytest.raises(ValueError, match="'meteor' is not a metric; allowed: accuracy, "):
        load_metric("meteor")


def test_metrics_write_nothing_and_their_libraries_are_imported_only_for_generation(tmp_path):
    code = """
import sys
import mergescale.evaluation.evaluator, mergescale.evaluation.task_groups
from mergescale.evaluation.metrics import METRICS, score_answers
heavy = {"evaluate", "datasets", "nltk", "rouge_score", "sacrebleu"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
for metric in METRICS[1:]:
    assert score_answers(metric, ["a cat"], [["the cat", "a cat"]]) == [1.0], metric
assert heavy <= sys.modules.keys()
"""
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    environment = {"HOME": str(home), "PYTHONPATH": ":".join(sys.path), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    assert not list(home.iterdir())
