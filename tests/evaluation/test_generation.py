"""Greedy answers in batches, against those of transformers' own `generate`."""

from collections import Counter
from dataclasses import replace

import pytest
import tiny_models
import tiny_study
import torch

from mergescale.evaluation.evaluator import Scorer
from mergescale.evaluation.generation import generate_greedy
from mergescale.evaluation.requests import EvalConfig, EvalTask, build_batches, build_requests
from mergescale.models.tokenizers import Encoder

ENCODER = Encoder(tiny_study.tokenizer(), max_length=tiny_models.MAX_LENGTH)


@pytest.fixture(scope="module", params=tiny_models.FAMILIES)
def model(request):
    return tiny_models.make(request.param)


@pytest.fixture(scope="module")
def llama():
    return tiny_models.make("llama")


def written(name, rows=12):
    examples = tuple(tiny_study.written(name, "test", rows))
    return EvalTask(name, "generate", "rouge_l", f"digest of {name}", examples)


def requests(tasks, encoder=ENCODER, *, max_new_tokens=12):
    return build_requests(tasks, encoder, EvalConfig(max_new_tokens=max_new_tokens))


@pytest.mark.parametrize("budget", [30, 10_000])
def test_greedy_answers_are_those_of_generate(model, budget):
    encoder, task = tiny_models.encoder(model), written("copies")
    ended = 0
    # Some end token is among what the model says, so that rows end at different steps.
    for end in (encoder.end, *likely_tokens(model, encoder)):
        for batch in build_batches(requests([task], encoder, max_new_tokens=10), encoder, budget):
            for request, answer in zip(
                batch.requests, generate_greedy(model, batch, end), strict=True
            ):
                assert answer == generated(model, request.prompt, request.max_answer_tokens, end)
                ended += len(answer) < request.max_answer_tokens
    assert ended > 5


def generated(model, prompt, limit, end):
    ids = torch.tensor([prompt])
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        use_cache=False,
        max_new_tokens=limit,
        eos_token_id=end,
        pad_token_id=ENCODER.pad,
    )[0].tolist()
    answer = made[1:] if model.config.is_encoder_decoder else made[len(prompt) :]
    return answer[: answer.index(end)] if end in answer else answer


def likely_tokens(model, encoder):
    """The two tokens that the model says most often after its first one."""
    (batch,) = build_batches(
        requests([written("copies")], encoder, max_new_tokens=10), encoder, 10_000
    )
    said = Counter(
        token for answer in generate_greedy(model, batch, end=-1) for token in answer[1:]
    )
    return [token for token, _ in said.most_common(2)]


def test_rows_of_one_batch_keep_their_own_limits(model):
    encoder = tiny_models.encoder(model)
    (batch,) = build_batches(requests([written("copies")], encoder), encoder, 10_000)
    limits = [row % 4 + 1 for row in range(len(batch.requests))]
    limited = replace(
        batch,
        requests=[
            replace(i, max_answer_tokens=n) for i, n in zip(batch.requests, limits, strict=True)
        ],
    )
    whole = generate_greedy(model, batch, end=-1)
    assert generate_greedy(model, limited, end=-1) == [
        ids[:n] for ids, n in zip(whole, limits, strict=True)
    ]


def test_generation_stops_two_tokens_after_the_longest_reference():
    assert {i.max_answer_tokens for i in requests([written("copies")])} == {5}
    assert {i.max_answer_tokens for i in requests([written("copies")], max_new_tokens=3)} == {3}


def test_prompt_and_answer_stay_within_the_models_positions():
    model, short = tiny_models.make("gpt2"), Encoder(ENCODER.tokenizer, max_length=4)
    made = requests([written("copies")], short)
    assert {(len(i.prompt), i.max_answer_tokens) for i in made} == {(1, 3)} and all(
        i.truncated for i in made
    )
    full = requests([written("copies")])
    full = [replace(i, prompt=(i.prompt * 48)[: 48 - i.max_answer_tokens]) for i in full]
    (batch,) = build_batches(full, ENCODER, 10_000)
    assert {len(answer) for answer in generate_greedy(model, batch, end=-1)} == {5}


def test_answers_do_not_depend_on_the_size_of_batches(model):
    encoder = tiny_models.encoder(model)
    one, other = (
        Scorer(encoder, [[written("copies")]], EvalConfig(batch_tokens=budget)).predict(model, 0)
        for budget in (1, 300)
    )
    assert one == other
