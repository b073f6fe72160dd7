"""Examples as batches of token ids, made once for a tokenizer and scored for many models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from mergescale.models.tokenizers import Encoder
from mergescale.tasks.task import Example


@dataclass(frozen=True)
class EncodedTask:
    """The examples of one task that are scored, with what decides how.

    Attributes:
        name: the task's name.
        kind: `rank` or `generate`.
        metric: name of a metric of `mergescale.evaluation.metrics`.
        digest: of the examples' content, for the content address of results.
    """

    name: str
    kind: str
    metric: str
    digest: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Item:
    """One prompt: its place (task, row), its token ids and those of its choices.

    Attributes:
        limit: most tokens of an answer.
        truncated: the prompt lost tokens from its left.
    """

    task: str
    row: int
    prompt: list[int]
    choices: list[list[int]]
    limit: int = 0
    truncated: bool = False


@dataclass(frozen=True)
class PromptBatch:
    """Prompts of like length, padded on the left, or on the right for encoder-decoder models.

    Attributes:
        items: the prompts, in the order of the rows.
        input_ids, attention_mask: int64, (rows, length).
    """

    items: list[Item]
    input_ids: torch.Tensor
    attention_mask: torch.Tensor


def encode(
    tasks: Iterable[EncodedTask], encoder: Encoder, *, end_token: bool, max_new_tokens: int
) -> list[Item]:
    """Token ids of every prompt and choice. The end token closes choices if `end_token`.

    Raises:
        ValueError: a choice has no tokens, or more than fit beside the shortest prompt; the message
            names task and example.
    """
    items: list[Item] = []
    for task in tasks:
        prompts = encoder.prompts([e.input for e in task.examples])
        if task.kind == "rank":
            flat = encoder.answers([choice for e in task.examples for choice in e.choices])
            answers = iter(flat)
            rows = [[next(answers) for _ in e.choices] for e in task.examples]
            if end_token:
                rows = [[ids + [encoder.end] for ids in row] for row in rows]
            for example, row in zip(task.examples, rows, strict=True):
                _check_choices(f"task {task.name}, example {example.id}", example, row, encoder)
            limits = [max(map(len, row)) for row in rows]
        else:
            rows = [[] for _ in prompts]
            # No answer is longer than the longest reference by more than two tokens and right.
            texts = [r for e in task.examples for r in e.references]
            longest = max((len(ids) for ids in encoder.answers(texts)), default=0)
            limit = min(max_new_tokens, longest + 2, encoder.longest_answer)
            limits = [limit] * len(prompts)
        for row, (prompt, choices, limit) in enumerate(zip(prompts, rows, limits, strict=True)):
            cut = encoder.cut(prompt, limit)
            items.append(Item(task.name, row, cut, choices, limit, len(cut) < len(prompt)))
    return items


def _check_choices(where: str, example: Example, row: list[list[int]], encoder: Encoder) -> None:
    for choice, ids in zip(example.choices, row, strict=True):
        if not ids:
            raise ValueError(f"{where}: the tokenizer makes no tokens of the choice {choice!r}")
        if len(ids) > encoder.longest_answer:
            raise ValueError(
                f"{where}: the choice {choice[:40]!r} has {len(ids)} tokens, but at most "
                f"{encoder.longest_answer} fit; raise max_length ({encoder.max_length}) if the "
                "model has more positions, or leave the task out"
            )


def batches(items: list[Item], encoder: Encoder, batch_tokens: int) -> list[PromptBatch]:
    """Batches of at most about `batch_tokens` tokens, prompts sorted by length.

    Kinds of prompts are kept apart: those ranked over choices of one token, of several, and
    those that are answered by generation.
    """
    kinds: dict[int, list[Item]] = {}
    for item in items:
        kind = 2 if not item.choices else int(max(map(len, item.choices)) > 1)
        kinds.setdefault(kind, []).append(item)
    made = []
    for kind, group in sorted(kinds.items()):
        group = sorted(group, key=lambda item: (len(item.prompt), item.task, item.row))
        batch: list[Item] = []
        cost = 0
        for item in group:
            # A row costs its prompt and its answers, and memory for each answer's copy of the
            # prompt's cache, of which a place costs far less than a token that is run.
            own = len(item.prompt) + sum(map(len, item.choices))
            own = max(own, kind * len(item.prompt) * len(item.choices) // 4)
            if batch and cost + own > batch_tokens:
                made.append(_pad(batch, encoder))
                batch, cost = [], 0
            batch.append(item)
            cost += own
        if batch:
            made.append(_pad(batch, encoder))
    return made


def _pad(items: list[Item], encoder: Encoder) -> PromptBatch:
    width = max(len(item.prompt) for item in items)
    ids, mask = [], []
    for item in items:
        padding, ones = width - len(item.prompt), [1] * len(item.prompt)
        # Encoders count positions from the row's start; a decoder's answers follow its prompts.
        if encoder.encoder_decoder:
            ids.append(item.prompt + [encoder.pad] * padding)
            mask.append(ones + [0] * padding)
        else:
            ids.append([encoder.pad] * padding + item.prompt)
            mask.append([0] * padding + ones)
    return PromptBatch(items, torch.tensor(ids), torch.tensor(mask))
