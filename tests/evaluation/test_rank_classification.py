"""Rank classification, against a scorer that runs one prompt with one choice at a time."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
import tiny_models
import tiny_study
import torch

from mergescale.evaluation.evaluator import Scorer
from mergescale.evaluation.rank_classification import best_choice, score_choices
from mergescale.evaluation.requests import EvalConfig, EvalTask, build_batches, build_requests
from mergescale.models.tokenizers import Encoder
from mergescale.tasks.task import Example

ENCODER = Encoder(tiny_study.tokenizer(), max_length=tiny_models.MAX_LENGTH)


@pytest.fixture(scope="module", params=tiny_models.FAMILIES)
def model(request):
    return tiny_models.make(request.param)


@pytest.fixture(scope="module")
def llama():
    return tiny_models.make("llama")


def ranked(name, rows=12):
    examples = tuple(tiny_study.ranked(name, "test", rows, tiny_study.LABELS[name]))
    return EvalTask(name, "rank", "accuracy", f"digest of {name}", examples)


def ragged(longest=6, rows=16):
    """Two to five choices of 1 to `longest` tokens, some with a common beginning."""
    rng = random.Random(longest)
    examples = []
    for row in range(rows):
        prompt = tiny_study.sentence(rng, rng.choice([1, 3, 8, 30, 60]))
        stem = tiny_study.sentence(rng, 2)
        own = [tiny_study.sentence(rng, rng.randint(1, longest)) for _ in range(rng.randint(1, 3))]
        shared = [f"{stem} {tiny_study.sentence(rng, 1)}", stem] if longest > 2 else ["yes"]
        choices = tuple(dict.fromkeys(own + shared))
        examples.append(Example(str(row), "", prompt, choices[0], choices))
    return EvalTask(f"ragged {longest}", "rank", "accuracy", "", tuple(examples))


TASKS = {"one token": ranked("reviews"), "words": ranked("moods"), "ragged": ragged()}


def naive_score(model, prompt, choice):
    """One prompt with one choice, log-softmax over every place and the whole vocabulary."""
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            shifted = [model.config.decoder_start_token_id, *choice[:-1]]
            inputs = {"input_ids": prompt, "decoder_input_ids": shifted}
            before = 0
        else:
            inputs = {"input_ids": prompt + choice}
            before = len(prompt) - 1
        logits = model(**{k: torch.tensor([v]) for k, v in inputs.items()}, use_cache=False).logits
    log_probabilities = torch.log_softmax(logits[0].double(), dim=-1)
    return sum(log_probabilities[before + i, token].item() for i, token in enumerate(choice))


def naive_prompt(encoder, text, longest_choice):
    """The begin token, then as many of the last tokens as leave room for the longest choice."""
    ids = encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
    begin, end = encoder.tokenizer.bos_token_id, encoder.tokenizer.eos_token_id
    if encoder.encoder_decoder:
        ids = [*ids, end]
        return [begin, *ids[-(encoder.max_length - 1) :]]
    return [begin, *ids[-(encoder.max_length - longest_choice - 1) :]]


def requests(tasks, encoder=ENCODER, *, end_token=False):
    return build_requests(tasks, encoder, EvalConfig(end_token, max_new_tokens=12))


@pytest.mark.parametrize("end_token", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_choices_score_what_a_naive_scorer_finds(model, task, end_token):
    encoder, task = tiny_models.encoder(model), TASKS[task]
    found = {}
    for batch in build_batches(requests([task], encoder, end_token=end_token), encoder, 200):
        scores = score_choices(model, batch, encoder.pad)
        found |= {i.row: s for i, s in zip(batch.requests, scores, strict=True)}
    assert sorted(found) == list(range(len(task.examples)))
    end = [encoder.end] if end_token else []
    for row, example in enumerate(task.examples):
        choices = [ids + end for ids in encoder.answers(list(example.choices))]
        prompt = naive_prompt(encoder, example.input, max(map(len, choices)))
        wanted = [naive_score(model, prompt, ids) for ids in choices]
        assert found[row] == pytest.approx(wanted, abs=1e-4)
        assert max(wanted) - min(wanted) > 1e-3  # far more than what the test lets pass


@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_scores_do_not_depend_on_the_size_of_batches(model, budget):
    encoder, tasks = tiny_models.encoder(model), [ranked("moods"), ranked("reviews"), ragged()]
    reference = Scorer(encoder, [tasks], EvalConfig(batch_tokens=300)).predict(model, 0)
    found = Scorer(encoder, [tasks], EvalConfig(batch_tokens=budget)).predict(model, 0)
    for task in reference:
        for one, other in zip(found[task], reference[task], strict=True):
            assert one.choice_scores == pytest.approx(other.choice_scores, abs=2e-4)  # rounded
            assert replace(one, choice_scores=()) == replace(other, choice_scores=())


def test_rows_may_have_different_numbers_of_choices(llama):
    few, many = (Example(str(n), "", "the cat", "a", ("a", "is it", "blue")[:n]) for n in (2, 3))
    task = EvalTask("mixed", "rank", "accuracy", "", (few, many))
    (batch,) = build_batches(requests([task]), ENCODER, 1000)
    scores = dict(
        zip((i.row for i in batch.requests), score_choices(llama, batch, ENCODER.pad), strict=True)
    )
    assert [len(scores[0]), len(scores[1])] == [2, 3]
    assert scores[1][:2] == pytest.approx(scores[0], abs=1e-5)


def test_the_head_runs_at_positions_of_answers_only(llama):
    """Per prompt its last place; per choice every token that another one follows."""
    task, places = ragged(), []
    hook = llama.lm_head.register_forward_hook(
        lambda module, given, logits: places.append(logits.numel() // logits.shape[-1])
    )
    try:
        for batch in build_batches(requests([task]), ENCODER, 300):
            score_choices(llama, batch, ENCODER.pad)
    finally:
        hook.remove()
    choices = [ids for request in requests([task]) for ids in request.choices]
    assert sum(places) == len(task.examples) + sum(len(ids) - 1 for ids in choices)


def test_batches_stay_within_their_budget_and_hold_every_prompt_once():
    made = build_batches(requests([ranked("moods"), ragged(2)]), ENCODER, 60)
    for batch in made:
        cost = sum(len(i.prompt) + sum(map(len, i.choices)) for i in batch.requests)
        assert cost <= 60 or len(batch.requests) == 1
    rows = sorted((i.task, i.row) for batch in made for i in batch.requests)
    assert rows == [*(("moods", row) for row in range(12)), *(("ragged 2", r) for r in range(16))]


def test_copies_of_a_long_prompts_cache_count():
    choices = tuple(f"the cat {word}" for word in sorted(set(tiny_study.WORDS)) if word.isalpha())
    examples = [Example(str(n), "", "the cat " * 10, choices[0], choices) for n in range(4)]
    task = EvalTask("many", "rank", "accuracy", "", tuple(examples))
    assert len(choices) > 20
    own = 21 + 3 * len(choices)
    assert [len(b.requests) for b in build_batches(requests([task]), ENCODER, 2 * own)] == [
        1,
        1,
        1,
        1,
    ]


def test_batches_sort_prompts_by_length():
    lengths = [
        max(len(i.prompt) for i in batch.requests)
        for batch in build_batches(requests([ranked("moods")]), ENCODER, 60)
    ]
    assert len(lengths) > 2 and all(one <= other for one, other in pairwise(lengths))


def test_the_first_choice_wins_a_tie():
    assert best_choice([-2.0, -1.0, -1.0]) == 1
    task = EvalTask(
        "tie", "rank", "accuracy", "", (Example("1", "", "the cat", "blue", ("BLUE", "blue")),)
    )
    prediction = Scorer(ENCODER, [[task]], EvalConfig()).predict(tiny_study.llama(), 0)["tie"][0]
    assert prediction.choice_scores[0] == prediction.choice_scores[1]
    assert (prediction.answer, prediction.score) == ("BLUE", 0.0)


def test_the_right_choice_scores_one(llama):
    found = Scorer(ENCODER, [[ranked("moods")]], EvalConfig()).predict(llama, 0)["moods"]
    for example, prediction in zip(ranked("moods").examples, found, strict=True):
        best = max(prediction.choice_scores)
        assert prediction.answer == example.choices[prediction.choice_scores.index(best)]
        assert prediction.score == float(prediction.answer == example.target)
        assert (prediction.id, prediction.template) == (example.id, example.template)


def test_scores_that_are_not_finite_are_an_error():
    broken = tiny_study.llama()
    with torch.no_grad():
        broken.model.norm.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="task reviews, example .* not finite"):
        Scorer(ENCODER, [[ranked("reviews")]], EvalConfig()).predict(broken, 0)


# --- over-long input


def test_a_long_prompt_is_cut_so_that_its_longest_choice_fits():
    long = Example("1", "", "a bird " + "the cat sleeps " * 40, "a", ("a", "a dog runs to the sad"))
    short = Example("2", "", "the cat", "a", ("a", "sad"))
    task = EvalTask("long", "rank", "accuracy", "", (long, short))
    request, other = requests([task], end_token=True)
    assert len(request.prompt) + 7 == ENCODER.max_length
    assert request.prompt[0] == ENCODER.tokenizer.bos_token_id
    assert ENCODER.text(request.prompt).endswith("the cat sleeps the cat sleeps")
    assert [len(choice) for choice in request.choices] == [2, 7]
    assert (request.truncated, other.truncated) == (True, False)


def test_an_encoder_has_room_for_the_whole_prompt_and_keeps_its_end():
    encoder = replace(ENCODER, encoder_decoder=True)
    long = Example("1", "", "the cat sleeps " * 40, "a", ("a", "a dog runs to the garden"))
    (request,) = requests([EvalTask("long", "rank", "accuracy", "", (long,))], encoder)
    assert len(request.prompt) == encoder.max_length and request.truncated
    assert (request.prompt[0], request.prompt[-1]) == (encoder.tokenizer.bos_token_id, encoder.end)


def test_truncated_prompts_are_counted_by_task():
    scorer = Scorer(ENCODER, [[ragged(), ranked("moods")], [ranked("reviews")]], EvalConfig())
    lengths = [len(e.input.split()) for e in ragged().examples]
    assert scorer.truncated == {"ragged 6": lengths.count(60), "moods": 0, "reviews": 0}
    assert lengths.count(60) > 0


@pytest.mark.parametrize("encoder_decoder", [False, True])
def test_a_choice_that_cannot_fit_is_refused(encoder_decoder):
    example = Example("7", "", "the cat", "a", ("a", "the cat sleeps " * 16))
    task = EvalTask("t", "rank", "accuracy", "", (example,))
    with pytest.raises(ValueError, match="task t, example 7: .* has 48 tokens, but at most 47 fit"):
        requests([task], replace(ENCODER, encoder_decoder=encoder_decoder))


def test_a_choice_without_tokens_is_refused():
    task = EvalTask("t", "rank", "accuracy", "", (Example("7", "", "the cat", "a", ("a", " ")),))
    with pytest.raises(ValueError, match="task t, example 7: .* no tokens of the choice ' '"):
        requests([task])
