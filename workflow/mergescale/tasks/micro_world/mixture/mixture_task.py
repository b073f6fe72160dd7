"""A task of the micro world's instruction mixture: sampled contents, rendered by its wordings.

A task has one sampling function and two to four wordings. The function returns a `Content`: slots,
the answer and, where the answer is one of a few, the choices. A `Wording` is a prompt with
`{slots}`; it may rename labels ("yes" -> "true") and list the choices with one of the slots

    {either}    "river or money"
    {listed}    "river, money"
    {parted}    "river; money"
    {lettered}  "(a) river (b) money"

The answer is always the text of a choice, never its letter.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mergescale.tasks.micro_world.world import join
from mergescale.tasks.task import Example, Task, split_of

_LETTERS = "abcdef"


@dataclass(frozen=True)
class Content:
    """What one example is about: values of the slots, the answer, and the choices if any."""

    slots: Mapping[str, str]
    target: str
    choices: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Identifies the content, whatever its wording and the order of its choices.

        Its hash decides the split.
        """
        return " | ".join([*sorted(self.slots.values()), *sorted(self.choices), self.target])


@dataclass(frozen=True)
class Wording:
    """A prompt template, and its own words for labels (by default, the labels themselves)."""

    text: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def example(self, content: Content, id: str, template: str) -> Example:
        """Render a content as the example `id`."""
        choices = tuple(self.labels.get(choice, choice) for choice in content.choices)
        target = self.labels.get(content.target, content.target)
        slots = dict(content.slots)
        if choices:
            slots["either"] = join(choices, "or")
            slots["listed"] = ", ".join(choices)
            slots["parted"] = "; ".join(choices)
            slots["lettered"] = " ".join(
                f"({letter}) {choice}" for letter, choice in zip(_LETTERS, choices, strict=False)
            )
        return Example(id, template, self.text.format(**slots), target, choices)


@dataclass(frozen=True)
class MixtureTask:
    """A task of the mixture, with the skill that it trains for the documentation."""

    task: Task
    skill: str
    wordings: tuple[Wording, ...]


def wording(text: str, **labels: str) -> Wording:
    """A `Wording`; keywords rename labels: `wording("{claim} Right?", yes="right", no="wrong")`."""
    return Wording(text, labels)


def mixture_task(
    name: str,
    skill: str,
    draw: Callable[[random.Random], Content],
    *wordings: Wording | str,
    metric: str = "",
) -> MixtureTask:
    """Build a task of the mixture.

    Rows may repeat where a task has few contents; training and validation rows never share
    contents, and there is no test split.

    Args:
        name: name of the task.
        skill: what the task trains, for the documentation.
        draw: samples a content; with choices, the task is of kind `rank`, else `generate`.
        wordings: the prompt templates.
        metric: metric of a generation task; by default exact match.
    """
    templates = tuple(Wording(w) if isinstance(w, str) else w for w in wordings)

    def examples(split: str, rows: int, seed: int) -> list[Example]:
        if split == "test":
            return []
        rng = random.Random(f"{seed}/{name}/{split}")
        sampled: list[Example] = []
        while len(sampled) < rows:
            content = draw(rng)
            number = rng.randrange(len(templates))
            if _split_of(f"{name}/{content.key}") == split:
                id = f"{name}/{split}/{len(sampled)}"
                template = f"{name}-{number + 1}"
                sampled.append(templates[number].example(content, id, template))
        return sampled

    ranked = bool(draw(random.Random(0)).choices)
    task = Task(
        name=name,
        title=name.replace("_", " ").capitalize(),
        kind="rank" if ranked else "generate",
        metric="accuracy" if ranked else (metric or "exact_match"),
        describe=skill,
        examples=examples,
    )
    return MixtureTask(task, skill, templates)


def _split_of(content: str) -> str:
    """One content in twenty is a validation content; a mixture needs no test split."""
    return split_of(content, validation=0.05, test=0.0)


def options(
    rng: random.Random, answer: str, others: list[str] | tuple[str, ...]
) -> tuple[str, ...]:
    """The answer and the other choices in random order."""
    choices = [answer, *others]
    rng.shuffle(choices)
    return tuple(choices)


def others(
    rng: random.Random, values: list[str] | tuple[str, ...], but: str, count: int
) -> list[str]:
    """`count` different values, none of them `but`."""
    return rng.sample([v for v in values if v != but], count)


def coin(rng: random.Random) -> bool:
    """Toss a coin."""
    return rng.random() < 0.5


# Most mixture tasks differ from evaluation rows in their content (other things, deeds or numbers of
# options). Where a task has to use the same few sentences, it skips contents that are evaluated.
def is_evaluated(task: str, keys: Iterable[str]) -> bool:
    """Whether any of these contents of an evaluation task is outside of its training split."""
    return any(split_of(f"{task}/{key}") != "train" for key in keys)


def evaluated_in_copa(premise: str, first: str, second: str) -> bool:
    """Whether COPA evaluates the premise with these two alternatives (without full stops)."""
    orders = ((first, second), (second, first))
    return is_evaluated("copa", [f"{premise} {choices}" for choices in orders])
