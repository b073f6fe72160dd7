"""Rank classification, generation, metrics and kept results, against naive ways of doing them."""

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import tiny_study
import torch

from mergescale.evaluation.encoded import EncodedTask, batches, encode
from mergescale.evaluation.generation import greedy
from mergescale.evaluation.kept import KeptResults
from mergescale.evaluation.rank_classification import best_choice, choice_scores
from mergescale.evaluation.scorer import Options, Prediction, Scorer
from mergescale.evaluation.tasks import load_task
from mergescale.models.tokenizer import Encoder
from mergescale.tasks.task import Example

ENCODER = Encoder(tiny_study.tokenizer(), max_length=48)
MODELS = {"llama": tiny_study.llama, "gpt_neox": tiny_study.gpt_neox, "qwen2": tiny_study.qwen2}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.fixture(scope="module")
def llama():
    return tiny_study.llama(seed=4)


def ranked(name, rows=12):
    examples = tuple(tiny_study.ranked(name, "test", rows, tiny_study.LABELS[name]))
    return EncodedTask(name, "rank", "accuracy", f"digest of {name}", examples)


def written(name, metric="rouge_l", rows=12):
    examples = tuple(tiny_study.written(name, "test", rows))
    return EncodedTask(name, "generate", metric, f"digest of {name}", examples)


def naive_score(model, prompt, choice):
    """One prompt with one choice, log-softmax over every place and the whole vocabulary."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + choice])).logits[0].double()
    log_probabilities = torch.log_softmax(logits, dim=-1)
    places = range(len(prompt) - 1, len(prompt) + len(choice) - 1)
    return sum(
        log_probabilities[place, token].item() for place, token in zip(places, choice, strict=True)
    )


def items(tasks, *, end_token=False, max_new_tokens=12):
    return encode(tasks, ENCODER, end_token=end_token, max_new_tokens=max_new_tokens)


# --- rank classification


@pytest.mark.parametrize("end_token", [False, True])
@pytest.mark.parametrize("task", ["reviews", "moods", "endings"])
def test_choices_score_what_a_naive_scorer_finds(model, task, end_token):
    found = {}
    for batch in batches(items([ranked(task)], end_token=end_token), ENCODER, 200):
        scores = choice_scores(model, batch, ENCODER.pad)
        found |= {i.row: s for i, s in zip(batch.items, scores, strict=True)}
    examples = ranked(task).examples
    prompts = ENCODER.prompts([e.input for e in examples])
    end = [ENCODER.end] if end_token else []
    for row, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        wanted = [
            naive_score(model, prompt, ids + end) for ids in ENCODER.answers(list(example.choices))
        ]
        assert found[row] == pytest.approx(wanted, abs=1e-4)
    assert sorted(found) == list(range(len(examples)))


def test_rows_may_have_different_numbers_of_choices(llama):
    few, many = (Example(str(n), "", "the cat", "a", ("a", "is it", "blue")[:n]) for n in (2, 3))
    task = EncodedTask("mixed", "rank", "accuracy", "", (few, many))
    (batch,) = batches(items([task]), ENCODER, 1000)
    scores = dict(
        zip((i.row for i in batch.items), choice_scores(llama, batch, ENCODER.pad), strict=True)
    )
    assert [len(scores[0]), len(scores[1])] == [2, 3]
    assert scores[1][:2] == pytest.approx(scores[0], abs=1e-5)


@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_scores_do_not_depend_on_the_size_of_batches(llama, budget):
    tasks = [ranked("moods"), ranked("reviews"), written("copies")]
    scorer = Scorer(ENCODER, [tasks], Options(max_new_tokens=8, batch_tokens=budget))
    reference = Scorer(ENCODER, [tasks], Options(max_new_tokens=8, batch_tokens=300))
    found, wanted = scorer.predict(llama, 0), reference.predict(llama, 0)
    for task in wanted:
        for one, other in zip(found[task], wanted[task], strict=True):
            assert one.choice_scores == pytest.approx(other.choice_scores, abs=3e-4)
            assert replace(one, choice_scores=()) == replace(other, choice_scores=())


def test_batches_stay_within_their_budget_and_hold_every_prompt_once():
    made = batches(items([ranked("moods"), written("copies")]), ENCODER, 60)
    for batch in made:
        cost = sum(len(i.prompt) + sum(map(len, i.choices)) for i in batch.items)
        assert cost <= 60 or len(batch.items) == 1
    rows = sorted((i.task, i.row) for batch in made for i in batch.items)
    assert rows == [(task, row) for task in ("copies", "moods") for row in range(12)]


def test_batches_sort_prompts_by_length():
    lengths = [
        max(len(i.prompt) for i in batch.items)
        for batch in batches(items([ranked("moods")]), ENCODER, 60)
    ]
    assert len(lengths) > 2 and all(one <= other for one, other in pairwise(lengths))


def test_the_first_choice_wins_a_tie():
    assert best_choice([-2.0, -1.0, -1.0]) == 1
    task = EncodedTask(
        "tie", "rank", "accuracy", "", (Example("1", "", "the cat", "blue", ("BLUE", "blue")),)
    )
    prediction = Scorer(ENCODER, [[task]], Options()).predict(tiny_study.llama(), 0)["tie"][0]
    assert prediction.choice_scores[0] == prediction.choice_scores[1]
    assert (prediction.answer, prediction.score) == ("BLUE", 0.0)


def test_the_right_choice_scores_one(llama):
    found = Scorer(ENCODER, [[ranked("moods")]], Options()).predict(llama, 0)["moods"]
    for example, prediction in zip(ranked("moods").examples, found, strict=True):
        best = max(prediction.choice_scores)
        assert prediction.answer == example.choices[prediction.choice_scores.index(best)]
        assert prediction.score == float(prediction.answer == example.target)
        assert (prediction.id, prediction.template) == (example.id, example.template)


def test_a_long_prompt_is_cut_so_that_its_longest_choice_fits(llama):
    long = Example("1", "", "the cat sleeps " * 40, "a", ("a", "a dog runs to the garden"))
    task = EncodedTask("long", "rank", "accuracy", "", (long,))
    (item,) = items([task], end_token=True)
    assert len(item.prompt) + 7 == ENCODER.max_length
    assert item.prompt[0] == ENCODER.tokenizer.bos_token_id
    assert [len(choice) for choice in item.choices] == [2, 7]


def test_a_choice_without_tokens_is_refused():
    task = EncodedTask("t", "rank", "accuracy", "", (Example("7", "", "the cat", "a", ("a", " ")),))
    with pytest.raises(ValueError, match="task t, example 7: .* no tokens of the choice ' '"):
        items([task])


def test_scores_that_are_not_finite_are_an_error():
    broken = tiny_study.llama()
    with torch.no_grad():
        broken.model.norm.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="task reviews, example .* not finite"):
        Scorer(ENCODER, [[ranked("reviews")]], Options()).predict(broken, 0)


# --- generation


@pytest.mark.parametrize("budget", [30, 10_000])
def test_greedy_answers_are_those_of_generate(model, budget):
    task = written("copies")
    ended = 0
    # Some end token is among what the model says, so that rows end at different steps.
    for end in (ENCODER.end, *likely_tokens(model)):
        for batch in batches(items([task], max_new_tokens=10), ENCODER, budget):
            limit = batch.items[0].limit
            for item, answer in zip(batch.items, greedy(model, batch, end), strict=True):
                ids = torch.tensor([item.prompt])
                generated = model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    do_sample=False,
                    max_new_tokens=limit,
                    eos_token_id=end,
                    pad_token_id=ENCODER.pad,
                )[0, ids.shape[1] :].tolist()
                wanted = generated[: generated.index(end)] if end in generated else generated
                assert answer == wanted
                ended += len(answer) < limit
    assert ended > 5


def likely_tokens(model):
    """The two tokens that the model says most often after its first one."""
    (batch,) = batches(items([written("copies")], max_new_tokens=10), ENCODER, 10_000)
    said = Counter(token for answer in greedy(model, batch, end=-1) for token in answer[1:])
    return [token for token, _ in said.most_common(2)]


def test_rows_of_one_batch_keep_their_own_limits(llama):
    (batch,) = batches(items([written("copies")]), ENCODER, 10_000)
    limits = [row % 4 + 1 for row in range(len(batch.items))]
    limited = replace(
        batch, items=[replace(i, limit=n) for i, n in zip(batch.items, limits, strict=True)]
    )
    whole = greedy(llama, batch, end=-1)
    assert greedy(llama, limited, end=-1) == [ids[:n] for ids, n in zip(whole, limits, strict=True)]


def test_generation_stops_two_tokens_after_the_longest_reference():
    assert {i.limit for i in items([written("copies")])} == {5}
    assert {i.limit for i in items([written("copies")], max_new_tokens=3)} == {3}


# --- kept results


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


def test_a_kept_result_is_not_computed_again(tmp_path):
    group, compute = [ranked("moods")], Counted(PREDICTIONS)
    for _ in range(2):
        kept = KeptResults(tmp_path, Options(), ENCODER)
        assert kept.predictions("weights", group, compute) == PREDICTIONS
    assert compute.calls == 1
    scores = Counted({"moods": 0.5})
    for _ in range(2):
        assert kept.scores("weights", group, scores) == {"moods": 0.5}
    assert scores.calls == 1


def test_other_weights_rows_options_or_tokenizers_are_computed_anew(tmp_path):
    compute = Counted(PREDICTIONS)
    base = {"weights": "a", "task": ranked("moods"), "options": Options(), "encoder": ENCODER}
    changes = [
        {},
        {"weights": "b"},
        {"task": replace(base["task"], digest="other rows")},
        {"task": replace(base["task"], metric="other metric")},
        {"options": Options(end_token=True)},
        {"options": Options(max_new_tokens=3)},
        {"encoder": Encoder(ENCODER.tokenizer, max_length=20)},
        {"encoder": Encoder(tiny_study.train_word_tokenizer(["other"]), max_length=48)},
    ]
    for number, change in enumerate(changes, 1):
        case = base | change
        kept = KeptResults(tmp_path, case["options"], case["encoder"])
        for _ in range(2):
            kept.predictions(case["weights"], [case["task"]], compute)
        assert compute.calls == number, change


def test_a_damaged_kept_result_is_computed_again(tmp_path):
    kept, compute = KeptResults(tmp_path, Options(), ENCODER), Counted(PREDICTIONS)
    kept.predictions("weights", [ranked("moods")], compute)
    (path,) = tmp_path.rglob("*.json")
    path.write_text(path.read_text()[:30])
    assert kept.predictions("weights", [ranked("moods")], compute) == PREDICTIONS
    assert compute.calls == 2


def test_a_failed_computation_keeps_nothing(tmp_path):
    kept = KeptResults(tmp_path, Options(), ENCODER)
    with pytest.raises(ZeroDivisionError):
        kept.predictions("weights", [ranked("moods")], lambda: 1 / 0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_group_is_scored_alike_whatever_stands_beside_it(llama):
    groups = [[ranked("moods"), ranked("reviews")], [written("copies")], [ranked("endings")]]
    forward = Scorer(ENCODER, groups, Options(max_new_tokens=6))
    backward = Scorer(ENCODER, groups[::-1], Options(max_new_tokens=6))
    for number in range(3):
        assert forward.predict(llama, number) == backward.predict(llama, 2 - number)
    alone = Scorer(ENCODER, groups[1:2], Options(max_new_tokens=6))
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
        ({"kind": "generate", "metric": "accuracy"}, 10, "allowed: exact_match, squad_f1, rouge_l"),
        ({"kind": "guess"}, 10, "task.json does not describe a task: kind 'guess'"),
        ({"kind": None}, 10, "task.json does not describe a task"),
        ({}, 0, "test.parquet: no rows"),
    ],
)
def test_a_wrong_task_is_refused_by_the_name_of_its_file(tmp_path, changes, rows, message):
    tiny_study.write_task(tmp_path, "moods", rows=(1, 1, rows), **changes)
    with pytest.raises(ValueError, match=message):
        load_task(tmp_path, "moods", "test", 8)


def test_rank_tasks_need_choices(tmp_path):
    tiny_study.write_task(tmp_path, "copies", kind="rank", metric="accuracy")
    with pytest.raises(ValueError, match=r"test.parquet: example \S+ has no choices to rank"):
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
