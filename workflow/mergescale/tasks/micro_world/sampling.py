"""Builds a task of the micro world from prompt templates and a function that samples contents.

A content is what a prompt is about, with its gold answer and its choices, independent of the
template. Contents are sampled until a split is full: labels are balanced, the splits share no
content, and no row occurs twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mergescale.provenance.digests import text_digest
from mergescale.tasks.task import Example, Task, split_of

# After this many consecutive rejected samples the contents count as exhausted.
MAX_TRIES = 600


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


# draw(rng, label): one content; `label`, from 0 to labels - 1, is its class or the position of its
# answer.
Draw = Callable[[random.Random, int], Content]


def make_task(
    name: str,
    title: str,
    metric: str,
    describe: str,
    *,
    resembles: str,
    templates: Mapping[str, str],
    draw: Draw,
    labels: int = 1,
) -> Task:
    """Build a task whose examples are `templates` filled with contents from `draw`.

    Args:
        name: name of the task.
        title: the title of the dataset that it stands in for.
        metric: `accuracy` ranks the choices of a content; any other metric scores generation.
        describe: one sentence for the documentation.
        resembles: how the task resembles that dataset, for docs/micro_world.md.
        templates: prompt templates by name; their slots are those of `Content.slots`.
        draw: samples a content.
        labels: number of values of `draw`'s second argument; each is used equally often.
    """

    def examples(split: str, rows: int, seed: int) -> list[Example]:
        return _sample_rows(name, templates, draw, labels, split, rows, seed)

    kind = "rank" if metric == "accuracy" else "generate"
    return Task(name, title, kind, metric, describe, examples, resembles=resembles)


def _sample_rows(
    name: str,
    templates: Mapping[str, str],
    draw: Draw,
    labels: int,
    split: str,
    rows: int,
    seed: int,
) -> list[Example]:
    """At most `rows` distinct examples of a split."""
    rng = random.Random(f"{seed}/{name}/{split}")
    names = tuple(templates)
    seen: set[str] = set()
    found: list[Example] = []
    order: list[int] = []
    while len(found) < rows:
        if not order:  # blocks with each label once keep every prefix balanced
            order = list(range(labels))
            rng.shuffle(order)
        label = order.pop()
        for _ in range(MAX_TRIES):
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
    """The choices in random order, with the gold answer at `position`."""
    mixed = list(others)
    rng.shuffle(mixed)
    mixed.insert(position, answer)
    return tuple(mixed)


def pick_pair(rng: random.Random, values: tuple[str, ...]) -> tuple[str, str]:
    """Two different values in random order."""
    first, second = rng.sample(values, 2)
    return first, second
