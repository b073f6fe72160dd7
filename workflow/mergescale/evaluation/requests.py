"""Requests: a task's examples as batches of token ids, built once and scored for many models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from mergescale.models.tokenizers import Encoder
from mergescale.tasks.task import Example


@dataclass(frozen=True)
class EvalConfig:
    """How models are scored.

    Attributes:
        end_token: close every choice of rank classification with the end-of-text token.
        max_new_tokens: maximum number of generated tokens.
        batch_tokens: approximate number of tokens in a batch. A CPU is fastest with small batches,
            whose intermediate results fit its cache.
    """

    end_token: bool = False
    max_new_tokens: int = 32
    batch_tokens: int = 2048

    def record(self) -> dict:
        """The settings that affect scores, for cache keys."""
        return {"end_token": self.end_token, "max_new_tokens": self.max_new_tokens}


@dataclass(frozen=True)
class EvalTask:
    """A task with the examples that are scored.

    Attributes:
        name: the task's name.
        kind: `rank` (rank classification) or `generate`.
        metric: name of a metric of `mergescale.evaluation.metrics`.
        digest: digest of the examples, for cache keys.
        examples: the examples, in a fixed order.
    """

    name: str
    kind: str
    metric: str
    digest: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Request:
    """One example, tokenized.

    Attributes:
        task: name of the task.
        row: index of the example within the task.
        prompt: token ids of the prompt.
        choices: token ids of each choice; empty for generation.
        max_answer_tokens: maximum number of tokens of an answer.
        truncated: whether tokens were removed from the prompt's left.
    """

    task: str
    row: int
    prompt: list[int]
    choices: list[list[int]]
    max_answer_tokens: int = 0
    truncated: bool = False


@dataclass(frozen=True)
class RequestBatch:
    """Requests with prompts of similar length, padded to one length.

    Decoder-only models get padding on the left, encoders on the right.

    Attributes:
        requests: the requests, in the order of the rows.
        input_ids: int64, (rows, length).
        attention_mask: int64, (rows, length); 0 marks padding.
    """

    requests: list[Request]
    input_ids: torch.Tensor
    attention_mask: torch.Tensor


def build_requests(
    tasks: Iterable[EvalTask], encoder: Encoder, config: EvalConfig
) -> list[Request]:
    """Tokenize every prompt and choice of the tasks.

    An answer may be two tokens longer than the task's longest reference, within
    `config.max_new_tokens`.

    Args:
        tasks: the tasks.
        encoder: the model's tokenizer and maximum length.
        config: its `end_token` and `max_new_tokens` apply.

    Returns:
        One request per example, in the order of tasks and examples.

    Raises:
        ValueError: a choice has no tokens, or does not fit beside even the shortest prompt; the
            message names task and example.
    """
    requests: list[Request] = []
    for task in tasks:
        prompts = encoder.prompts([e.input for e in task.examples])
        if task.kind == "rank":
            rows = _tokenize_choices(task, encoder, config.end_token)
            limits = [max(map(len, row)) for row in rows]
        else:
            rows = [[] for _ in prompts]
            references = [r for e in task.examples for r in e.references]
            longest = max((len(ids) for ids in encoder.answers(references)), default=0)
            limit = min(config.max_new_tokens, longest + 2, encoder.longest_answer)
            limits = [limit] * len(prompts)
        for row, (prompt, choices, limit) in enumerate(zip(prompts, rows, limits, strict=True)):
            cut = encoder.cut(prompt, limit)
            truncated = len(cut) < len(prompt)
            requests.append(Request(task.name, row, cut, choices, limit, truncated))
    return requests


def _tokenize_choices(task: EvalTask, encoder: Encoder, end_token: bool) -> list[list[list[int]]]:
    """Token ids of the choices of each example."""
    encoded = iter(encoder.answers([choice for e in task.examples for choice in e.choices]))
    rows = [[next(encoded) for _ in e.choices] for e in task.examples]
    if end_token:
        rows = [[ids + [encoder.end] for ids in row] for row in rows]
    for example, row in zip(task.examples, rows, strict=True):
        where = f"task {task.name}, example {example.id}"
        for choice, ids in zip(example.choices, row, strict=True):
            if not ids:
                raise ValueError(f"{where}: the tokenizer makes no tokens of the choice {choice!r}")
            if len(ids) > encoder.longest_answer:
                raise ValueError(
                    f"{where}: the choice {choice[:40]!r} has {len(ids)} tokens, but at most "
                    f"{encoder.longest_answer} fit; raise max_length ({encoder.max_length}) if the "
                    "model has more positions, or remove the task"
                )
    return rows


def build_batches(
    requests: list[Request], encoder: Encoder, batch_tokens: int
) -> list[RequestBatch]:
    """Group requests, sorted by length, into batches of at most about `batch_tokens` tokens.

    A batch has requests of one kind: choices of one token, longer choices, or generation.
    """
    by_kind: dict[int, list[Request]] = {}
    for request in requests:
        kind = 2 if not request.choices else int(max(map(len, request.choices)) > 1)
        by_kind.setdefault(kind, []).append(request)
    batches = []
    for kind, group in sorted(by_kind.items()):
        batch: list[Request] = []
        batch_cost = 0
        for request in sorted(group, key=lambda r: (len(r.prompt), r.task, r.row)):
            # The cost of a request is its tokens or, where that is more, the memory of the copies
            # of the prompt's cache, one per choice: a cached position costs about a quarter of a
            # computed one.
            cost = len(request.prompt) + sum(map(len, request.choices))
            cost = max(cost, kind * len(request.prompt) * len(request.choices) // 4)
            if batch and batch_cost + cost > batch_tokens:
                batches.append(_pad(batch, encoder))
                batch, batch_cost = [], 0
            batch.append(request)
            batch_cost += cost
        if batch:
            batches.append(_pad(batch, encoder))
    return batches


def _pad(requests: list[Request], encoder: Encoder) -> RequestBatch:
    """Pad prompts to the longest one."""
    width = max(len(request.prompt) for request in requests)
    ids, mask = [], []
    for request in requests:
        padding, ones = width - len(request.prompt), [1] * len(request.prompt)
        # Encoders count positions from the row's start; a decoder's answers follow its prompts.
        if encoder.encoder_decoder:
            ids.append(request.prompt + [encoder.pad] * padding)
            mask.append(ones + [0] * padding)
        else:
            ids.append([encoder.pad] * padding + request.prompt)
            mask.append([0] * padding + ones)
    return RequestBatch(requests, torch.tensor(ids), torch.tensor(mask))
