"""Metrics of generated answers, and how scores of tasks become one."""

import random

import pytest
import tiny_study

from mergescale.evaluation.bleu import bleu, corpus_bleu
from mergescale.evaluation.evaluate_modules import MODULES, load_metric
from mergescale.evaluation.metrics import (
    GENERATION_METRICS,
    exact_match,
    generation_score,
    rouge_l,
    squad_f1,
)
from mergescale.evaluation.scorer import Prediction, mean_score
from mergescale.evaluation.task_groups import Category, macro_average
from mergescale.models.tokenizers import Encoder

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
    assert generation_score("squad_f1", prediction, references) == pytest.approx(f1)
    assert generation_score("exact_match", prediction, references) == em


def signs(rng):
    """A text with everything that BLEU's tokenizer treats in its own way."""
    pieces = [
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
    return "".join(rng.choice(pieces) for _ in range(rng.randint(0, 12)))


def test_bleu_is_that_of_the_sacrebleu_package():
    package = pytest.importorskip("sacrebleu")
    rng, seen = random.Random(0), set()
    for _ in range(600):
        text = signs if rng.random() < 0.5 else lambda r: tiny_study.sentence(r, r.randint(0, 9))
        prediction, *references = (text(rng) for _ in range(rng.randint(2, 4)))
        wanted = package.sentence_bleu(prediction, references).score / 100
        assert bleu(prediction, references) == pytest.approx(wanted, abs=1e-9), prediction
        assert generation_score("bleu", prediction, references) == bleu(prediction, references)
        seen.add(round(wanted, 3))
    assert len(seen) > 50


@pytest.mark.parametrize("length", [2, 12])
def test_bleu_of_a_corpus_is_that_of_the_sacrebleu_package(length):
    package = pytest.importorskip("sacrebleu")
    rng = random.Random(1)
    texts = [
        [tiny_study.sentence(rng, rng.randint(1, length)) for _ in range(3)] for _ in range(40)
    ]
    predictions, *references = zip(*texts, strict=True)
    wanted = package.corpus_bleu(list(predictions), [list(r) for r in references]).score / 100
    assert corpus_bleu(predictions, [t[1:] for t in texts]) == pytest.approx(wanted, abs=1e-9)
    assert bool(wanted) == (length == 12)


def test_the_best_reference_counts():
    assert generation_score("exact_match", "red", ("blue", "red")) == 1
    with pytest.raises(
        ValueError, match="'chrf' is not a metric .* exact_match, squad_f1, rouge_l, bleu"
    ):
        generation_score("chrf", "red", ("red",))


def test_a_generated_answer_is_decoded_to_words_before_it_is_compared():
    target = "a dog runs to the garden, and a bird sings."
    (ids,) = ENCODER.answers([target])
    for metric in GENERATION_METRICS:
        assert generation_score(metric, ENCODER.text(ids), (target,)) == 1


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


def some_texts(count=20):
    rng = random.Random(2)
    predictions = [tiny_study.sentence(rng, rng.randint(4, 8)) for _ in range(count)]
    near = [p if rng.random() < 0.3 else p.replace("the", "a", 1)[4:] for p in predictions]
    return predictions, [[one, tiny_study.sentence(rng, 5)] for one in near]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("module", MODULES)
def test_modules_give_the_means_of_our_scores(module, several, no_network):
    predictions, references = some_texts()
    lists = references if several else [own[:1] for own in references]
    given = references if several else [own[0] for own in references]
    found = load_metric(module).compute(predictions=predictions, references=given)
    names = {"f1": "squad_f1"}
    for key, value in found.items():
        if key == "accuracy":
            scores = [p in own for p, own in zip(predictions, lists, strict=True)]
        elif key == "corpus_bleu":
            scores = [corpus_bleu(predictions, lists)]
        else:
            metric = names.get(key, key)
            scores = [
                generation_score(metric, p, own) for p, own in zip(predictions, lists, strict=True)
            ]
        assert value == pytest.approx(sum(scores) / len(scores))
        assert 0 < value < 1


def test_modules_collect_batches_and_others_are_refused(no_network):
    metric = load_metric("squad")
    metric.add_batch(predictions=["red", "blue"], references=["red", "a blue fish"])
    metric.add(prediction="cat", reference="dog")
    assert metric.compute() == pytest.approx({"exact_match": 1 / 3, "f1": (1 + 2 / 3) / 3})
    with pytest.raises(ValueError, match="'meteor' is not a metric; there are: accuracy, "):
        load_metric("meteor")
