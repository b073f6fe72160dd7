"""The training loop: schedule, dropout, interruption and resumption, checkpoints."""

import json
import math

import pytest
import tiny_study
import torch

from mergescale.models.tokenizers import Encoder
from mergescale.training.batches import example_stream
from mergescale.training.config import TrainConfig
from mergescale.training.objectives.answer_loss import label_tokens
from mergescale.training.trainer import cosine_decay, train

EXAMPLES = tiny_study.written("copies", "train", 40)


@pytest.fixture(scope="module")
def encoder():
    return Encoder(tiny_study.tokenizer(), max_length=32)


@pytest.fixture
def stream(encoder):
    return example_stream(encoder, EXAMPLES, label_tokens=label_tokens, batch_size=8, seed=3)


def run(stream, checkpoint_dir, *, fingerprint="a", model=None, **changes):
    """Train a tiny model; return its weights and the loss."""
    settings = {"steps": 10, "batch_size": 8, "learning_rate": 0.02, "warmup": 2, "dropout": 0.3}
    settings |= {"checkpoint_every": 4} | changes
    model = model or tiny_study.llama(seed=1)
    loss = train(
        model,
        stream,
        TrainConfig(**settings),
        checkpoint_dir=checkpoint_dir,
        fingerprint=fingerprint,
        label="test",
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
def test_an_interrupted_run_resumes_to_the_same_bits(stream, tmp_path, stop):
    whole, loss = run(stream, tmp_path / "whole")
    with pytest.raises(Stopped):
        run(StopAt(stream, stop), tmp_path / "checkpoints")
    torch.manual_seed(99)  # random numbers drawn in between do not matter
    rest = StopAt(stream, None)
    resumed, again = run(rest, tmp_path / "checkpoints")
    assert rest.seen == list(range(stop // 4 * 4, 10))
    assert same_weights(whole, resumed)
    assert loss == again


def test_a_run_that_is_interrupted_twice_resumes_to_the_same_bits(stream, tmp_path):
    whole, loss = run(stream, tmp_path / "whole", checkpoint_every=2)
    for stop in (3, 9):  # the second time inside the part over which the loss is averaged
        with pytest.raises(Stopped):
            run(StopAt(stream, stop), tmp_path / "checkpoints", checkpoint_every=2)
    resumed, again = run(stream, tmp_path / "checkpoints", checkpoint_every=2)
    assert same_weights(whole, resumed) and loss == again


def test_only_the_newest_checkpoint_stays(stream, tmp_path):
    with pytest.raises(Stopped):
        run(StopAt(stream, 9), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest.json", "step-8"]


def test_the_checkpoint_of_another_run_is_discarded(stream, tmp_path):
    with pytest.raises(Stopped):
        run(StopAt(stream, 9), tmp_path / "checkpoints", fingerprint="other")
    rest = StopAt(stream, None)
    weights, _ = run(rest, tmp_path / "checkpoints", fingerprint="this")
    assert rest.seen == list(range(10))
    assert same_weights(weights, run(stream, tmp_path / "fresh")[0])


@pytest.mark.parametrize("damage", ["no latest.json", "half of it", "no checkpoint"])
def test_an_incomplete_checkpoint_is_ignored(stream, tmp_path, damage):
    with pytest.raises(Stopped):
        run(StopAt(stream, 6), tmp_path / "checkpoints")
    latest = tmp_path / "checkpoints" / "latest.json"
    if damage == "no latest.json":
        latest.unlink()
    elif damage == "half of it":
        latest.write_text(latest.read_text()[:20])
    else:
        latest.write_text(json.dumps(json.loads(latest.read_text()) | {"folder": "step-6"}))
    rest = StopAt(stream, None)
    weights, _ = run(rest, tmp_path / "checkpoints")
    assert rest.seen == list(range(10))
    assert same_weights(weights, run(stream, tmp_path / "fresh")[0])


def test_an_incomplete_checkpoint_does_not_hide_the_one_before(stream, tmp_path):
    with pytest.raises(Stopped):
        run(StopAt(stream, 6), tmp_path)
    (tmp_path / "step-8").mkdir()
    (tmp_path / "step-8" / "checkpoint.pt").write_bytes(b"half")
    rest = StopAt(stream, None)
    run(rest, tmp_path)
    assert rest.seen == list(range(4, 10))


def test_no_checkpoints_where_none_are_requested(stream, tmp_path):
    run(stream, tmp_path / "checkpoints", checkpoint_every=0)
    assert not (tmp_path / "checkpoints").exists()


def test_no_steps_leave_the_model_as_it_is(stream, tmp_path):
    model = tiny_study.llama(seed=1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    weights, loss = run(stream, tmp_path, model=model, steps=0)
    assert same_weights(before, weights) and loss is None


def test_a_loss_that_is_not_finite_is_reported_with_its_step(stream, tmp_path):
    model = tiny_study.llama(seed=1)
    with torch.no_grad():
        model.lm_head.weight.fill_(math.inf)
    with pytest.raises(FloatingPointError, match=r"not finite by step 4: lower the learning rate"):
        run(stream, tmp_path, model=model, steps=40)
    assert not (tmp_path / "latest.json").exists(), "a diverged run saved a checkpoint"


def test_the_model_is_ready_for_evaluation_after_training(stream, tmp_path):
    model = tiny_study.llama(seed=1)
    run(stream, tmp_path, model=model)
    assert not any(module.training for module in model.modules())


def test_adamw_trains_and_resumes_to_the_same_bits(stream, tmp_path):
    settings = {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.01}
    expected, loss = run(stream, tmp_path / "uninterrupted", **settings)
    with pytest.raises(Stopped):
        run(StopAt(stream, 6), tmp_path / "checkpoints", **settings)
    resumed, again = run(stream, tmp_path / "checkpoints", **settings)
    assert same_weights(expected, resumed) and loss == again
    adafactor, _ = run(stream, tmp_path / "adafactor", learning_rate=0.01, weight_decay=0.01)
    assert not same_weights(expected, adafactor)
