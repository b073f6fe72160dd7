"""The batches of a run: their order, padding and labels."""

import numpy as np
import pytest
import tiny_study
import torch

from mergescale.models.tokenizers import Encoder
from mergescale.training.batches import IGNORE, document_stream, example_stream
from mergescale.training.objectives import language_modeling
from mergescale.training.objectives.answer_loss import label_tokens

EXAMPLES = tiny_study.written("copies", "train", 40)


@pytest.fixture(scope="module")
def encoder():
    return Encoder(tiny_study.tokenizer(), max_length=32)


@pytest.fixture
def stream(encoder):
    return example_stream(encoder, EXAMPLES, label_tokens=label_tokens, batch_size=8, seed=3)


def test_batches_are_a_function_of_seed_and_step(encoder, stream):
    again = example_stream(encoder, EXAMPLES, label_tokens=label_tokens, batch_size=8, seed=3)
    later = again[17].input_ids  # requested first: no state is carried from step to step
    for step in (0, 4, 5, 17):
        assert stream[step].input_ids.equal(again[step].input_ids)
    assert stream[17].input_ids.equal(later)
    other = example_stream(encoder, EXAMPLES, label_tokens=label_tokens, batch_size=8, seed=4)
    assert not all(torch.equal(stream[step].input_ids, other[step].input_ids) for step in range(5))


def test_an_epoch_has_every_row_once_and_epochs_differ(encoder):
    seen = []
    stream = example_stream(encoder, EXAMPLES, label_tokens=label_tokens, batch_size=8, seed=0)
    collate, stream.collate = stream.collate, lambda rows: seen.append(rows) or collate(rows)
    for step in range(10):
        stream[step]
    first, second = np.concatenate(seen[:5]), np.concatenate(seen[5:])
    assert sorted(first) == sorted(second) == list(range(40))
    assert not np.array_equal(first, second)


def test_fewer_rows_than_a_batch_are_repeated_to_fill_it(encoder):
    stream = example_stream(encoder, EXAMPLES[:3], label_tokens=label_tokens, batch_size=8, seed=0)
    assert stream[0].input_ids.shape[0] == stream[1].input_ids.shape[0] == 8


def test_rows_are_padded_on_the_left_and_labeled_on_the_answer_only(encoder, stream):
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


def test_a_long_prompt_is_truncated_and_its_answer_is_not(encoder):
    short = Encoder(encoder.tokenizer, max_length=6)
    batch = example_stream(short, EXAMPLES, label_tokens=label_tokens, batch_size=40, seed=0)[0]
    assert batch.input_ids.shape[1] == 6
    answers = {tuple(a) for a in encoder.answers([e.target for e in EXAMPLES])}
    labeled = {
        tuple(i for i in row if i not in (IGNORE, encoder.end)) for row in batch.labels.tolist()
    }
    assert labeled == answers


def test_documents_are_cut_end_to_end_into_rows(encoder):
    texts = tiny_study.SENTENCES * 3
    stream = document_stream(
        encoder, texts, label_tokens=label_tokens, length=7, batch_size=1, seed=0
    )
    rows = [stream[step].input_ids[0].tolist() for step in range(stream.batches_per_epoch)]
    tokens = [i for document in encoder.documents(texts) for i in document]
    expected = [tokens[i : i + 7] for i in range(0, len(tokens) - 6, 7)]
    assert sorted(rows) == sorted(expected)
    assert stream[0].labels.equal(stream[0].input_ids[:, 1:])


def test_a_corpus_shorter_than_a_row_is_refused(encoder):
    with pytest.raises(ValueError, match="fewer than one row of 500"):
        document_stream(
            encoder,
            tiny_study.SENTENCES,
            label_tokens=label_tokens,
            length=500,
            batch_size=2,
            seed=0,
        )
    with pytest.raises(ValueError, match="0 tokens"):
        document_stream(encoder, [], label_tokens=label_tokens, length=5, batch_size=2, seed=0)


def test_nothing_to_train_on_is_refused(encoder):
    with pytest.raises(ValueError, match="training needs rows"):
        example_stream(encoder, [], label_tokens=label_tokens, batch_size=2, seed=0)


def test_language_modeling_labels_every_token_but_the_first(encoder):
    labels = language_modeling.label_tokens
    batch = example_stream(encoder, EXAMPLES, label_tokens=labels, batch_size=8, seed=3)[0]
    for ids, mask, row in zip(batch.input_ids, batch.attention_mask, batch.labels, strict=True):
        length = int(mask.sum())
        assert row[len(row) - length + 1 :].equal(ids[len(ids) - length + 1 :])
        assert (row[: len(row) - length + 1] == IGNORE).all()


def test_documents_are_labeled_alike_by_all_objectives(encoder):
    """They have no prompt."""
    one, two = (
        document_stream(
            encoder, tiny_study.SENTENCES, label_tokens=labels, length=7, batch_size=2, seed=0
        )[0]
        for labels in (label_tokens, language_modeling.label_tokens)
    )
    assert one.labels.equal(two.labels) and one.labels.shape == (2, 6)
