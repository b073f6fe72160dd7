"""The batches of a run: their order is a function of (seed, step), the same in a resumed run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from mergescale.models.tokenizers import Encoder
from mergescale.tasks.task import Example

IGNORE = -100
"""The label of a token without a loss."""
# Rows are sorted by length within blocks of this many batches: little padding, yet random.
_BATCHES_PER_BLOCK = 16

LabelTokens = Callable[[list[int], list[int]], list[int]]
"""`Objective.label_tokens`: the labels of a row's last tokens, from its prompt and its answer."""


@dataclass(frozen=True)
class Batch:
    """Token ids of some rows, padded on the left so that all of them end together.

    Attributes:
        input_ids: int64, (rows, length).
        attention_mask: int64, (rows, length); 0 on padding.
        position_ids: int64, (rows, length); 0 at each row's first token.
        labels: int64, (rows, labels); of the last tokens, `IGNORE` where there is no loss.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    position_ids: torch.Tensor
    labels: torch.Tensor

    @property
    def num_labels(self) -> int:
        """The number of tokens with a loss."""
        return int((self.labels != IGNORE).sum())

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        tensors = (self.input_ids, self.attention_mask, self.position_ids, self.labels)
        return Batch(*(tensor.to(device) for tensor in tensors))


@dataclass
class BatchStream:
    """Endless batches of rows, in an order drawn from `seed`.

    Attributes:
        lengths: int64, (rows,); the length of each row, so that rows of like length are batched.
        batch_size: rows in a batch.
        seed: of the order.
        collate: makes a `Batch` from indices of rows.
    """

    lengths: np.ndarray
    batch_size: int
    seed: int
    collate: Callable[[np.ndarray], Batch]
    _epochs: dict[int, list[np.ndarray]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not len(self.lengths) or self.batch_size < 1:
            raise ValueError(
                f"training needs rows and a batch size of at least 1, not {len(self.lengths)} rows "
                f"in batches of {self.batch_size}"
            )

    @property
    def batches_per_epoch(self) -> int:
        """The number of batches in one pass over the rows."""
        return max(1, len(self.lengths) // self.batch_size)

    def __getitem__(self, step: int) -> Batch:
        """The batch of training step `step`, counted from 0."""
        epoch, index = divmod(step, self.batches_per_epoch)
        if epoch not in self._epochs:
            self._epochs = {epoch: self._shuffle(epoch)}
        return self.collate(self._epochs[epoch][index])

    def _shuffle(self, epoch: int) -> list[np.ndarray]:
        generator = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
        rows = generator.permutation(len(self.lengths))
        if len(rows) < self.batch_size:
            rows = np.resize(rows, self.batch_size)
        block_size = self.batch_size * _BATCHES_PER_BLOCK
        batches: list[np.ndarray] = []
        for start in range(0, len(rows), block_size):
            block = rows[start : start + block_size]
            block = block[np.argsort(self.lengths[block], kind="stable")]
            full = len(block) // self.batch_size
            batches += np.split(block[: full * self.batch_size], full) if full else []
        return [batches[i] for i in generator.permutation(len(batches))]


def example_stream(
    encoder: Encoder,
    examples: Sequence[Example],
    *,
    label_tokens: LabelTokens,
    batch_size: int,
    seed: int,
) -> BatchStream:
    """Batches of prompts with their answers, one example a row.

    Raises:
        ValueError: there are no examples.
    """
    prompts = encoder.prompts([e.input for e in examples])
    answers = [ids + [encoder.end] for ids in encoder.answers([e.target for e in examples])]
    prompts = [encoder.cut(p, len(a)) for p, a in zip(prompts, answers, strict=True)]
    lengths = np.array([len(p) + len(a) for p, a in zip(prompts, answers, strict=True)])

    def collate(rows: np.ndarray) -> Batch:
        return _pad([(prompts[i], answers[i]) for i in rows], label_tokens, encoder.pad)

    return BatchStream(lengths, batch_size, seed, collate)


def document_stream(
    encoder: Encoder,
    documents: Sequence[str],
    *,
    label_tokens: LabelTokens,
    length: int,
    batch_size: int,
    seed: int,
) -> BatchStream:
    """Batches of documents, joined end to end and cut into rows of `length` tokens.

    Raises:
        ValueError: the documents have fewer tokens than one row.
    """
    tokens = np.array([i for d in encoder.documents(documents) for i in d], dtype=np.int64)
    rows = tokens[: len(tokens) // length * length].reshape(-1, length)
    if not len(rows):
        raise ValueError(f"the corpus has {len(tokens)} tokens, fewer than one row of {length}")

    def collate(indices: np.ndarray) -> Batch:
        return _pad([([], row) for row in rows[indices].tolist()], label_tokens, encoder.pad)

    return BatchStream(np.full(len(rows), length), batch_size, seed, collate)


def _pad(rows: list[tuple[list[int], list[int]]], label_tokens: LabelTokens, pad: int) -> Batch:
    """A batch of (prompt, answer) rows."""
    lengths = [len(prompt) + len(answer) for prompt, answer in rows]
    labels = [label_tokens(prompt, answer) for prompt, answer in rows]
    # Nothing predicts a row's first token.
    labels = [ids[1:] if len(ids) == n else ids for ids, n in zip(labels, lengths, strict=True)]
    width, tail = max(lengths), max(map(len, labels))
    input_ids = np.full((len(rows), width), pad, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    padded_labels = np.full((len(rows), tail), IGNORE, dtype=np.int64)
    for row, (prompt, answer) in enumerate(rows):
        start = width - lengths[row]
        input_ids[row, start:] = prompt + answer
        mask[row, start:] = 1
        padded_labels[row, tail - len(labels[row]) :] = labels[row]
    positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
    return Batch(*(torch.from_numpy(a) for a in (input_ids, mask, positions, padded_labels)))


def local_microbatches(
    batch: Batch, *, rank: int, world_size: int, micro_batch: int
) -> list[Batch]:
    """The rows of a batch that one process works on, at most `micro_batch` at a time.

    A single process without a limit (`micro_batch` 0) gets the batch itself. Rows are dealt out in
    turn, since neighbors are of like length. All processes get the same number of micro-batches,
    which their collective operations require; a process that has no row left gets dummy batches.
    """
    rows = len(batch.input_ids)
    rows_per_process = -(-rows // world_size)
    limit = micro_batch or rows_per_process
    if world_size == 1 and limit >= rows:
        return [batch]
    local = range(rank, rows, world_size)
    parts = [local[start : start + limit] for start in range(0, rows_per_process, limit)]
    return [_select_rows(batch, part) if part else _dummy_batch(batch) for part in parts]


def _select_rows(batch: Batch, rows: range) -> Batch:
    """Some rows, without the padding that they all have."""
    selected = slice(rows.start, rows.stop, rows.step)
    mask, labels = batch.attention_mask[selected], batch.labels[selected]
    first = int(mask.argmax(dim=1).min())
    labeled = (labels != IGNORE).any(dim=0)
    tail = int(labeled.int().argmax()) if labeled.any() else labels.shape[1] - 1
    return Batch(
        batch.input_ids[selected, first:],
        mask[:, first:],
        batch.position_ids[selected, first:],
        labels[:, tail:],
    )


def _dummy_batch(batch: Batch) -> Batch:
    """The first row without labels: its loss is 0."""
    row = _select_rows(batch, range(1))
    labels = torch.full_like(row.labels, IGNORE)
    return Batch(row.input_ids, row.attention_mask, row.position_ids, labels)
