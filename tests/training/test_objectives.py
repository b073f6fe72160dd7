"""The objectives, each against another way to compute it, and how they are found."""

import pytest
import tiny_study
import torch

from mergescale.models.tokenizers import Encoder
from mergescale.training import registry
from mergescale.training.batches import IGNORE, document_stream, example_stream
from mergescale.training.config import TrainConfig
from mergescale.training.objectives import answer_loss, language_modeling, z_loss

EXAMPLES = tiny_study.written("copies", "train", 40)


@pytest.fixture(scope="module")
def encoder():
    return Encoder(tiny_study.tokenizer(), max_length=32)


@pytest.fixture
def stream(encoder):
    return example_stream(
        encoder, EXAMPLES, label_tokens=answer_loss.label_tokens, batch_size=8, seed=3
    )


def test_the_answer_loss_is_transformers_own_on_one_row(encoder):
    model = tiny_study.llama(seed=2)
    stream = example_stream(
        encoder, EXAMPLES, label_tokens=answer_loss.label_tokens, batch_size=1, seed=0
    )
    for step in range(5):
        batch = stream[step]
        labels = torch.full_like(batch.input_ids, IGNORE)
        labels[:, -batch.labels.shape[1] :] = batch.labels
        with torch.no_grad():
            expected = model(input_ids=batch.input_ids, labels=labels).loss
            assert answer_loss.compute_loss(model, batch, batch.num_labels).item() == pytest.approx(
                expected.item(), abs=1e-5
            )


def test_the_answer_loss_of_a_padded_batch_is_that_of_its_rows_alone(encoder, stream):
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
        assert answer_loss.compute_loss(model, batch, batch.num_labels).item() == pytest.approx(
            total / count, abs=1e-5
        )


def test_the_language_modeling_loss_of_documents_counts_every_token(encoder):
    model = tiny_study.llama(seed=2)
    labels = language_modeling.label_tokens
    batch = document_stream(
        encoder, tiny_study.SENTENCES, label_tokens=labels, length=9, batch_size=2, seed=0
    )[0]
    with torch.no_grad():
        expected = model(input_ids=batch.input_ids, labels=batch.input_ids).loss
        assert answer_loss.compute_loss(model, batch, batch.num_labels).item() == pytest.approx(
            expected.item(), abs=1e-5
        )


def test_the_language_modeling_loss_of_an_example_is_transformers_own(encoder):
    model = tiny_study.llama(seed=2)
    labels = language_modeling.label_tokens
    batch = example_stream(encoder, EXAMPLES, label_tokens=labels, batch_size=1, seed=0)[0]
    with torch.no_grad():
        expected = model(input_ids=batch.input_ids, labels=batch.input_ids).loss.item()
        loss = language_modeling.compute_loss(model, batch, batch.num_labels).item()
    assert loss == pytest.approx(expected, abs=1e-5)


def test_the_z_loss_adds_the_squared_log_of_the_normalizer(stream):
    model, batch = tiny_study.llama(seed=2), stream[0]
    with torch.no_grad():
        logits = model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
        ).logits
        width = batch.labels.shape[1]
        probabilities = logits[:, -width - 1 : -1].double().exp().sum(dim=-1)
        penalty = (probabilities.log() ** 2)[batch.labels != IGNORE].mean().item()
        base = answer_loss.compute_loss(model, batch, batch.num_labels).item()
        loss = z_loss.compute_loss(model, batch, batch.num_labels).item()
    assert loss - base == pytest.approx(1e-4 * penalty, rel=1e-2)


@pytest.mark.parametrize("name", registry.objective_names())
def test_a_batch_without_labels_has_no_loss_and_no_gradient(name, stream):
    """As the dummy batches of processes that have no row left."""
    model, batch = tiny_study.llama(), stream[0]
    batch.labels.fill_(IGNORE)
    loss = registry.get_objective(name).compute_loss(model, batch, 5)
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_every_file_is_found():
    assert registry.objective_names() == ["answer_loss", "language_modeling", "z_loss"]
    assert registry.optimizer_names() == ["adafactor", "adamw"]


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"objective": "answer-loss"},
            "'answer-loss' is not an objective; did you mean answer_loss",
        ),
        ({"optimizer": "sgd"}, "'sgd' is not an optimizer; allowed: adafactor, adamw"),
        ({"steps": -1}, "steps must be at least 0, not -1"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, not 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, not nan"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), not 1.0"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**{"steps": 1, "batch_size": 1, "learning_rate": 0.1} | changes)
