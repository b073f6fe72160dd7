"""From a way of drawing contents to the examples of a task.

A task of the micro world is a set of prompt templates and a function that draws one content: what
the prompt is about, its gold answer and its choices. This module draws contents until a split is
filled, with labels balanced, contents disjoint between splits, and every row distinct.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mergescale.provenance.digests import text_digest
from mergescale.tasks.task import Example, Task, split_of

# A draw is given up for lost after this many unlucky tries in a row: the contents are exhausted.
PATIENCE = 600


@dataclass(frozen=True)
class Content:
    """What one prompt is about, whatever the template.

    Attributes:
        key: names the content; its hash decides the split.
        slots: values of the template's slots.
        target: the gold answer.
        choices: the label strings in the order of the prompt; empty for generation.
    """

    key: str
    slots: Mapping[str, str]
    target: str
    choices: tuple[str, ...] = ()


# draw(rng, label): one content; `label` in 0..labels-1 asks for a class or the answer's position.
Draw = Callable[[random.Random, int], Content]


def make_task(
    name: str,
    title: str,
    metric: str,
    describe: str,
    *,
    templates: Mapping[str, str],
    draw: Draw,
    labels: int = 1,
) -> Task:
    """A task whose examples are `templates` filled with contents from `draw`.

    `labels` is the number of values of `draw`'s second argument; they come equally often. The kind
    of the task follows from the metric: accuracy is computed by ranking choices.
    """

    def examples(split: str, rows: int, seed: int) -> list[Example]:
        return _fill(name, templates, draw, labels, split, rows, seed)

    kind = "rank" if metric == "accuracy" else "generate"
    return Task(name, title, kind, metric, describe, examples)


def _fill(
    name: str,
    templates: Mapping[str, str],
    draw: Draw,
    labels: int,
    split: str,
    rows: int,
    seed: int,
) -> list[Example]:
    rng = random.Random(f"{seed}/{name}/{split}")
    names = tuple(templates)
    seen: set[str] = set()
    found: list[Example] = []
    order: list[int] = []
    while len(found) < rows:
        if not order:  # one block of all labels after the other keeps every prefix balanced
            order = list(range(labels))
            rng.shuffle(order)
        label = order.pop()
        for _ in range(PATIENCE):
            content = draw(rng, label)
            template = rng.choice(names)
            digest = text_digest(f"{template}|{content.key}")[:12]
            if digest not in seen and split_of(f"{name}/{content.key}") == split:
                break
        else:
            return found
        seen.add(digest)
        prompt = templates[template].format(**content.slots)
        found.append(
            Example(
                id=f"{name}-{digest}",
                template=template,
                input=prompt,
                target=content.target,
                choices=content.choices,
                references=() if content.choices else (content.target,),
            )
        )
    return found


def place_answer(
    rng: random.Random, answer: str, others: list[str] | tuple[str, ...], position: int
) -> tuple[str, ...]:
    """The choices in random order with the gold answer at `position`."""
    mixed = list(others)
    rng.shuffle(mixed)
    mixed.insert(position, answer)
    return tuple(mixed)


def pick_pair(rng: random.Random, values: tuple[str, ...]) -> tuple[str, str]:
    """Two different values in random order."""
    first, second = rng.sample(values, 2)
    return first, second
