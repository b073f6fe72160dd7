"""How a task of the mixture is written: a `Draw` holds contents, a `Wording` puts them to words.

A task is one drawing function and two to four wordings. The drawing function returns slots, the
answer and, where the answer is one of a few, the choices. A wording is a prompt with `{slots}`; it
may rename labels ("yes" -> "true") and show the choices with one of the slots

    {either}    "river or money"
    {listed}    "river, money"
    {parted}    "river; money"
    {lettered}  "(a) river (b) money"

The answer is always the text of a choice, never its letter.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mergescale.tasks.micro_world.world import join
from mergescale.tasks.task import Example, Task, split_of

_LETTERS = "abcdef"


@dataclass(frozen=True)
class Draw:
    """Contents of one example: what fills the slots, the answer, and the choices if any."""

    slots: Mapping[str, str]
    target: str
    choices: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The content apart from its wording and the order of its choices; decides the split."""
        return " | ".join([*sorted(self.slots.values()), *sorted(self.choices), self.target])


@dataclass(frozen=True)
class Wording:
    """A prompt template and the words it uses for labels (by default, the labels themselves)."""

    text: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def example(self, draw: Draw, id: str, template: str) -> Example:
        choices = tuple(self.labels.get(choice, choice) for choice in draw.choices)
        target = self.labels.get(draw.target, draw.target)
        slots = dict(draw.slots)
        if choices:
            slots["either"] = join(choices, "or")
            slots["listed"] = ", ".join(choices)
            slots["parted"] = "; ".join(choices)
            slots["lettered"] = " ".join(
                f"({letter}) {choice}" for letter, choice in zip(_LETTERS, choices, strict=False)
            )
        return Example(id, template, self.text.format(**slots), target, choices)


@dataclass(frozen=True)
class Form:
    """A task of the mixture with the skill that it trains, for the documentation."""

    task: Task
    skill: str
    wordings: tuple[Wording, ...]


def say(text: str, **labels: str) -> Wording:
    """A wording; keywords rename labels: `say("{claim} Right?", yes="right", no="wrong")`."""
    return Wording(text, labels)


def form(
    name: str,
    skill: str,
    draw: Callable[[random.Random], Draw],
    *wordings: Wording | str,
    metric: str = "",
) -> Form:
    """Make a task of the mixture out of a drawing function and its wordings.

    The kind follows from the draws: `rank` where they have choices, else `generate`, scored by
    `metric` (by default exact match). Rows may repeat where a task has few contents; training and
    validation rows never share contents, and there is no test split.
    """
    said = tuple(Wording(w) if isinstance(w, str) else w for w in wordings)

    def examples(split: str, rows: int, seed: int) -> list[Example]:
        if split == "test":
            return []
        rng = random.Random(f"{seed}/{name}/{split}")
        made: list[Example] = []
        while len(made) < rows:
            drawn = draw(rng)
            number = rng.randrange(len(said))
            if _split_of(f"{name}/{drawn.content}") == split:
                template = f"{name}-{number + 1}"
                made.append(said[number].example(drawn, f"{name}/{split}/{len(made)}", template))
        return made

    ranked = bool(draw(random.Random(0)).choices)
    task = Task(
        name=name,
        title=name.replace("_", " ").capitalize(),
        kind="rank" if ranked else "generate",
        metric="accuracy" if ranked else (metric or "exact_match"),
        describe=skill,
        examples=examples,
    )
    return Form(task, skill, said)


def _split_of(content: str) -> str:
    """One content in twenty is kept for validation; a mixture needs no test split."""
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
    return rng.random() < 0.5
