"""The training loop: order of batches, loss, schedule, stopping and resuming, saving."""

import json
import math

import numpy as np
import pytest
import tiny_study
import torch

from mergescale.models.loading import load, parameter_count, save
from mergescale.models.tokenizers import Encoder
from mergescale.training.batches import IGNORE, answer_stream, document_stream
from mergescale.training.trainer import TrainConfig, answer_loss, cosine_decay, train

EXAMPLES = tiny_study.written("copies", "train", 40)


@pytest.fixture(scope="module")
def encoder():
    return Encoder(tiny_study.tokenizer(), max_length=32)


@pytest.fixture
def stream(encoder):
    return answer_stream(encoder, EXAMPLES, batch_size=8, seed=3)


def run(stream, state, *, fingerprint="a", model=None, **changes):
    """Train a tiny model; return its weights and the loss."""
    settings = {"steps": 10, "batch_size": 8, "learning_rate": 0.02, "warmup": 2, "dropout": 0.3}
    settings |= {"checkpoint_every": 4} | changes
    model = model or tiny_study.llama(seed=1)
    loss = train(
        model, stream, TrainConfig(**settings), state=state, fingerprint=fingerprint, label="test"
    )
    return {name: p.detach().clone() for name, p in model.named_parameters()}, loss


class Stopped(Exception):
    """Stands in for a kill."""


class StopAt:
    """Batches that end the run when step `step` begins."""

    def __init__(self, stream, step):
        self.stream, self.step, self.seen = stream, step, []

    def __getitem__(self, step):
        if step == self.step:
            raise Stopped
        self.seen.append(step)
        return self.stream[step]


def same_weights(one, other):
    return all(one[name].equal(other[name]) for name in one)


# --- batches


def test_batches_are_a_function_of_seed_and_step(encoder, stream):
    again = answer_stream(encoder, EXAMPLES, batch_size=8, seed=3)
    later = again[17].input_ids  # asked for first: no state is carried from step to step
    for step in (0, 4, 5, 17):
        assert stream[step].input_ids.equal(again[step].input_ids)
    assert stream[17].input_ids.equal(later)
    other = answer_stream(encoder, EXAMPLES, batch_size=8, seed=4)
    assert not all(torch.equal(stream[step].input_ids, other[step].input_ids) for step in range(5))


def test_an_epoch_holds_every_row_once_and_epochs_differ(encoder):
    seen = []
    stream = answer_stream(encoder, EXAMPLES, batch_size=8, seed=0)
    collate, stream.collate = stream.collate, lambda rows: seen.append(rows) or collate(rows)
    for step in range(10):
        stream[step]
    first, second = np.concatenate(seen[:5]), np.concatenate(seen[5:])
    assert sorted(first) == sorted(second) == list(range(40))
    assert not np.array_equal(first, second)


def test_fewer_rows_than_a_batch_are_repeated_to_fill_it(encoder):
    stream = answer_stream(encoder, EXAMPLES[:3], batch_size=8, seed=0)
    assert stream[0].input_ids.shape[0] == stream[1].input_ids.shape[0] == 8


def test_rows_are_padded_on_the_left_and_labelled_on_the_answer_alone(encoder, stream):
    rows = {
        tuple(prompt + answer + [encoder.end]): answer + [encoder.end]
        for prompt, answer in zip(
            encoder.prompts([e.input for e in EXAMPLES]),
            encoder.answers([e.target for e in EXAMPLES]),
            strict=True,
        )
    }
    batch = stream[2]
    for ids, mask, positions, labels in zip(
        batch.input_ids, batch.attention_mask, batch.position_ids, batch.labels, strict=True
    ):
        length = int(mask.sum())
        assert mask.tolist() == [0] * (len(mask) - length) + [1] * length
        assert positions[-length:].tolist() == list(range(length))
        answer = rows[tuple(ids[-length:].tolist())]
        assert labels.tolist() == [IGNORE] * (len(labels) - len(answer)) + answer


def test_a_long_prompt_is_cut_and_its_answer_kept(encoder):
    short = Encoder(encoder.tokenizer, max_length=6)
    batch = answer_stream(short, EXAMPLES, batch_size=40, seed=0)[0]
    assert batch.input_ids.shape[1] == 6
    answers = {tuple(a) for a in encoder.answers([e.target for e in EXAMPLES])}
    kept = {
        tuple(i for i in row if i not in (IGNORE, encoder.end)) for row in batch.labels.tolist()
    }
    assert kept == answers


def test_documents_are_cut_end_to_end_into_rows(encoder):
    texts = tiny_study.SENTENCES * 3
    stream = document_stream(encoder, texts, length=7, batch_size=1, seed=0)
    rows = [stream[step].input_ids[0].tolist() for step in range(stream.batches_per_epoch)]
    tokens = [i for document in encoder.documents(texts) for i in document]
    wanted = [tokens[i : i + 7] for i in range(0, len(tokens) - 6, 7)]
    assert sorted(rows) == sorted(wanted)
    assert stream[0].labels.equal(stream[0].input_ids[:, 1:])


def test_a_corpus_shorter_than_a_row_is_refused(encoder):
    with pytest.raises(ValueError, match="fewer than one row of 500"):
        document_stream(encoder, tiny_study.SENTENCES, length=500, batch_size=2, seed=0)
    with pytest.raises(ValueError, match="0 tokens"):
        document_stream(encoder, [], length=5, batch_size=2, seed=0)


def test_nothing_to_train_on_is_refused(encoder):
    with pytest.raises(ValueError, match="training needs rows"):
        answer_stream(encoder, [], batch_size=2, seed=0)


# --- loss


def test_the_loss_is_hugging_faces_own_on_one_row(encoder):
    model = tiny_study.llama(seed=2)
    stream = answer_stream(encoder, EXAMPLES, batch_size=1, seed=0)
    for step in range(5):
        batch = stream[step]
        labels = torch.full_like(batch.input_ids, IGNORE)
        labels[:, -batch.labels.shape[1] :] = batch.labels
        with torch.no_grad():
            wanted = model(input_ids=batch.input_ids, labels=labels).loss
            assert answer_loss(model, batch).item() == pytest.approx(wanted.item(), abs=1e-5)


def test_the_loss_of_a_padded_batch_is_that_of_its_rows_alone(encoder, stream):
    model = tiny_study.llama(seed=2)
    batch = stream[0]
    total = count = 0
    with torch.no_grad():
        for ids, mask, answer in zip(
            batch.input_ids, batch.attention_mask, batch.labels, strict=True
        ):
            labels = torch.full_like(ids, IGNORE)
            labels[-len(answer) :] = answer
            ids, labels = ids[mask == 1][None], labels[mask == 1][None]
            tokens = int((labels != IGNORE).sum())
            total += model(input_ids=ids, labels=labels).loss.item() * tokens
            count += tokens
        assert answer_loss(model, batch).item() == pytest.approx(total / count, abs=1e-5)


def test_the_loss_of_documents_counts_every_token(encoder):
    model = tiny_study.llama(seed=2)
    batch = document_stream(encoder, tiny_study.SENTENCES, length=9, batch_size=2, seed=0)[0]
    with torch.no_grad():
        wanted = model(input_ids=batch.input_ids, labels=batch.input_ids).loss
        assert answer_loss(model, batch).item() == pytest.approx(wanted.item(), abs=1e-5)


# --- the loop


def test_training_lowers_the_loss(stream, tmp_path):
    _, early = run(stream, tmp_path, steps=1, dropout=0.0)
    _, late = run(stream, tmp_path, steps=60, dropout=0.0)
    assert late < 0.8 * early


def test_the_schedule_warms_up_then_falls_to_zero_as_a_cosine():
    factors = [cosine_decay(step, 14, 4) for step in range(15)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[9] == pytest.approx(0.5)
    assert factors[14] == pytest.approx(0.0)
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert cosine_decay(0, 10, 0) == 1.0


def test_two_runs_with_the_same_seed_are_equal_and_another_seed_differs(stream, tmp_path):
    one, loss = run(stream, tmp_path / "1")
    two, again = run(stream, tmp_path / "2")
    other, _ = run(stream, tmp_path / "3", seed=1)  # of dropout: the batches are the same
    assert same_weights(one, two) and loss == again
    assert not same_weights(one, other)


def test_dropout_is_used(stream, tmp_path):
    with_it, _ = run(stream, tmp_path)
    without, _ = run(stream, tmp_path, dropout=0.0)
    assert not same_weights(with_it, without)


@pytest.mark.parametrize("stop", [4, 6, 9])
def test_a_stopped_run_goes_on_to_the_same_bits(stream, tmp_path, stop):
    whole, loss = run(stream, tmp_path / "whole")
    with pytest.raises(Stopped):
        run(StopAt(stream, stop), tmp_path / "state")
    torch.manual_seed(99)  # whatever happens in between
    rest = StopAt(stream, None)
    resumed, again = run(rest, tmp_path / "state")
    assert rest.seen == list(range(stop // 4 * 4, 10))
    assert same_weights(whole, resumed)
    assert loss == again


def test_a_run_that_is_stopped_twice_goes_on_to_the_same_bits(stream, tmp_path):
    whole, loss = run(stream, tmp_path / "whole", checkpoint_every=2)
    for stop in (3, 9):  # the second time inside the part over which the loss is averaged
        with pytest.raises(Stopped):
            run(StopAt(stream, stop), tmp_path / "state", checkpoint_every=2)
    resumed, again = run(stream, tmp_path / "state", checkpoint_every=2)
    assert same_weights(whole, resumed) and loss == again


def test_only_the_newest_state_is_kept(stream, tmp_path):
    with pytest.raises(Stopped):
        run(StopAt(stream, 9), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mark.json", "step-8"]


def test_the_state_of_another_run_is_discarded(stream, tmp_path):
    with pytest.raises(Stopped):
        run(StopAt(stream, 9), tmp_path / "state", fingerprint="other")
    rest = StopAt(stream, None)
    weights, _ = run(rest, tmp_path / "state", fingerprint="this")
    assert rest.seen == list(range(10))
    assert same_weights(weights, run(stream, tmp_path / "fresh")[0])


@pytest.mark.parametrize("damage", ["no mark", "half a mark", "no state"])
def test_a_half_written_state_is_ignored(stream, tmp_path, damage):
    with pytest.raises(Stopped):
        run(StopAt(stream, 6), tmp_path / "state")
    mark = tmp_path / "state" / "mark.json"
    if damage == "no mark":
        mark.unlink()
    elif damage == "half a mark":
        mark.write_text(mark.read_text()[:20])
    else:
        mark.write_text(json.dumps(json.loads(mark.read_text()) | {"folder": "step-6"}))
    rest = StopAt(stream, None)
    weights, _ = run(rest, tmp_path / "state")
    assert rest.seen == list(range(10))
    assert same_weights(weights, run(stream, tmp_path / "fresh")[0])


def test_a_checkpoint_that_was_cut_short_does_not_hide_the_one_before(stream, tmp_path):
    with pytest.raises(Stopped):
        run(StopAt(stream, 6), tmp_path)
    (tmp_path / "step-8").mkdir()
    (tmp_path / "step-8" / "model.safetensors").write_bytes(b"half")
    rest = StopAt(stream, None)
    run(rest, tmp_path)
    assert rest.seen == list(range(4, 10))


def test_no_checkpoints_where_none_are_asked_for(stream, tmp_path):
    run(stream, tmp_path / "state", checkpoint_every=0)
    assert not (tmp_path / "state").exists()


def test_no_steps_leave_the_model_as_it_is(stream, tmp_path):
    model = tiny_study.llama(seed=1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    weights, loss = run(stream, tmp_path, model=model, steps=0)
    assert same_weights(before, weights) and loss is None


def test_a_loss_that_is_not_finite_is_an_error_that_says_what_to_do(stream, tmp_path):
    model = tiny_study.llama(seed=1)
    with torch.no_grad():
        model.lm_head.weight.fill_(math.inf)
    with pytest.raises(FloatingPointError, match=r"not finite by step 4: lower the learning rate"):
        run(stream, tmp_path, model=model, steps=40)
    assert not (tmp_path / "mark.json").exists(), "a broken state was kept"


def test_the_model_is_ready_for_evaluation_after_training(stream, tmp_path):
    model = tiny_study.llama(seed=1)
    run(stream, tmp_path, model=model)
    assert not any(module.training for module in model.modules())


# --- folders


def test_a_saved_model_loads_to_the_same_weights(tmp_path):
    model, words = tiny_study.llama(seed=5), tiny_study.tokenizer()
    save(tmp_path, model, words)
    loaded, loaded_words = load(tmp_path)
    assert same_weights(dict(model.named_parameters()), dict(loaded.named_parameters()))
    assert loaded_words.get_vocab() == words.get_vocab()
    assert loaded.dtype == torch.float32
    assert not loaded.training


def test_the_same_seed_gives_the_same_model_in_the_same_bytes(tmp_path):
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        save(tmp_path / name, tiny_study.llama(seed=seed), tiny_study.tokenizer())
    one, two, other = (
        (tmp_path / n / "model.safetensors").read_bytes() for n in ("one", "two", "other")
    )
    assert one == two != other


def test_saving_a_base_keeps_the_experts_inside_its_folder(tmp_path):
    tiny_study.write_models(tmp_path)
    experts = sorted(tmp_path.rglob("experts/*/model.safetensors"))
    before = [path.read_bytes() for path in experts]
    (tmp_path / ".partial-killed").mkdir()
    save(tmp_path, tiny_study.llama(seed=9), tiny_study.tokenizer())
    assert len(experts) == 2 and [path.read_bytes() for path in experts] == before
    assert not list(tmp_path.glob(".partial-*"))


def test_tied_weights_are_counted_once():
    model = tiny_study.llama(hidden_size=16, layers=2)
    vocabulary = len(tiny_study.tokenizer())
    layer = 4 * 16 * 16 + 3 * 16 * 32 + 2 * 16
    assert parameter_count(model) == vocabulary * 16 + 2 * layer + 16


def test_weights_that_lack_a_tensor_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    save(tmp_path, tiny_study.llama(), tiny_study.tokenizer())
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="weights lack model.layers.1.mlp.up_proj.weight"):
        load(tmp_path)
