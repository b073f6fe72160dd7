"""The order of training batches: a function of (seed, step), the same in a resumed run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from mergescale.models.tokenizers import Encoder
from mergescale.tasks.task import Example

IGNORE = -100
# Rows are sorted by length inside blocks of this many batches: little padding, still random.
_BLOCK = 16


@dataclass(frozen=True)
class Batch:
    """Token ids of one step, padded on the left so that all answers end together.

    Attributes:
        input_ids: int64, (rows, length).
        attention_mask: int64, (rows, length); 0 on padding.
        position_ids: int64, (rows, length); 0 at each row's first token.
        labels: int64, (rows, answer); the last `answer` tokens' labels, `IGNORE` where none.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    position_ids: torch.Tensor
    labels: torch.Tensor

    @property
    def tokens(self) -> int:
        """How many labels there are, those that say `IGNORE` left out."""
        return int((self.labels != IGNORE).sum())


@dataclass
class BatchStream:
    """Endless batches over `rows` pieces of data, in an order drawn from `seed`.

    Attributes:
        lengths: length of each row, for sorting rows of like length together.
        batch_size: rows in a batch.
        seed: of the order.
        collate: makes a `Batch` from row numbers.
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
        return max(1, len(self.lengths) // self.batch_size)

    def __getitem__(self, step: int) -> Batch:
        """The batch of training step `step`, counted from 0."""
        epoch, place = divmod(step, self.batches_per_epoch)
        if epoch not in self._epochs:
            self._epochs = {epoch: self._order(epoch)}
        return self.collate(self._epochs[epoch][place])

    def _order(self, epoch: int) -> list[np.ndarray]:
        generator = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
        rows = generator.permutation(len(self.lengths))
        if len(rows) < self.batch_size:
            rows = np.resize(rows, self.batch_size)
        block = self.batch_size * _BLOCK
        batches: list[np.ndarray] = []
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            whole = len(part) // self.batch_size
            batches += np.split(part[: whole * self.batch_size], whole) if whole else []
        return [batches[i] for i in generator.permutation(len(batches))]


def share(batch: Batch, *, rank: int, processes: int, micro_batch: int) -> list[Batch]:
    """The rows of a batch that process `rank` works on, in parts of at most `micro_batch` rows.

    A single process without a limit (`micro_batch` 0) gets the batch itself. Rows are dealt out in
    turn, since neighbours are of like length. All processes get the same number of parts, as their
    collective operations need; where rows run out, a part is the batch's first row without labels.
    """
    rows = len(batch.input_ids)
    most = -(-rows // processes)
    limit = micro_batch or most
    if processes == 1 and limit >= rows:
        return [batch]
    own = range(rank, rows, processes)
    parts = [own[start : start + limit] for start in range(0, most, limit)]
    return [_rows(batch, part) if part else _unlabelled(batch) for part in parts]


def _rows(batch: Batch, rows: range) -> Batch:
    """Some rows, without the padding that they all have."""
    chosen = slice(rows.start, rows.stop, rows.step)
    mask, labels = batch.attention_mask[chosen], batch.labels[chosen]
    first = int(mask.argmax(dim=1).min())
    labelled = (labels != IGNORE).any(dim=0)
    tail = int(labelled.int().argmax()) if labelled.any() else labels.shape[1] - 1
    return Batch(
        batch.input_ids[chosen, first:],
        mask[:, first:],
        batch.position_ids[chosen, first:],
        labels[:, tail:],
    )


def _unlabelled(batch: Batch) -> Batch:
    row = _rows(batch, range(1))
    return Batch(
        row.input_ids, row.attention_mask, row.position_ids, torch.full_like(row.labels, IGNORE)
    )


def answer_stream(
    encoder: Encoder, examples: list[Example], *, batch_size: int, seed: int
) -> BatchStream:
    """Prompt and answer in one row, loss on the answer and the end token only."""
    prompts = encoder.prompts([e.input for e in examples])
    answers = [ids + [encoder.end] for ids in encoder.answers([e.target for e in examples])]
    prompts = [encoder.cut(p, len(a)) for p, a in zip(prompts, answers, strict=True)]
    lengths = np.array([len(p) + len(a) for p, a in zip(prompts, answers, strict=True)])

    def collate(rows: np.ndarray) -> Batch:
        width = int(lengths[rows].max())
        tail = max(len(answers[i]) for i in rows)
        ids = np.full((len(rows), width), encoder.pad, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        labels = np.full((len(rows), tail), IGNORE, dtype=np.int64)
        for row, i in enumerate(rows):
            ids[row, width - lengths[i] :] = prompts[i] + answers[i]
            mask[row, width - lengths[i] :] = 1
            labels[row, tail - len(answers[i]) :] = answers[i]
        return _batch(ids, mask, labels)

    return BatchStream(lengths, batch_size, seed, collate)


def document_stream(
    encoder: Encoder, documents: list[str], *, length: int, batch_size: int, seed: int
) -> BatchStream:
    """Documents joined end to end and cut into rows of `length` tokens, loss on every token."""
    tokens = np.array([i for d in encoder.documents(documents) for i in d], dtype=np.int64)
    rows = tokens[: len(tokens) // length * length].reshape(-1, length)
    if not len(rows):
        raise ValueError(f"the corpus has {len(tokens)} tokens, fewer than one row of {length}")

    def collate(chosen: np.ndarray) -> Batch:
        ids = rows[chosen]
        return _batch(ids, np.ones_like(ids), ids[:, 1:].copy())

    return BatchStream(np.full(len(rows), length), batch_size, seed, collate)


def _batch(ids: np.ndarray, mask: np.ndarray, labels: np.ndarray) -> Batch:
    positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
    return Batch(*(torch.from_numpy(a) for a in (ids, mask, positions, labels)))
