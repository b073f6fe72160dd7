"""The instruction mixture of the micro world: many small tasks in the manner of FLAN.

None of them is one of the 23 evaluation tasks, and none shares a template with them; together they
train the skills that those need, in other words. `MIXTURE` has the tasks by name, and `mixture`
samples the examples that bases are instruction-tuned on.

The order of the modules below decides the order of the tasks, and with it what is sampled.
"""

from __future__ import annotations

import random
from itertools import accumulate

from mergescale.tasks.micro_world.mixture import (
    causes,
    descriptions,
    logic,
    paraphrases,
    reading,
    recall,
    reference,
    reviews,
    stories,
    summaries,
    topics,
    words,
)
from mergescale.tasks.micro_world.mixture.mixture_task import MixtureTask
from mergescale.tasks.task import Example, Task

_MODULES = (
    words,
    causes,
    reference,
    logic,
    stories,
    recall,
    reading,
    reviews,
    topics,
    descriptions,
    summaries,
    paraphrases,
)
MIXTURE_TASKS: dict[str, MixtureTask] = {
    entry.task.name: entry for module in _MODULES for entry in module.TASKS
}
MIXTURE: dict[str, Task] = {name: entry.task for name, entry in MIXTURE_TASKS.items()}
# Small models need many more rows to learn to compare, to conclude and to resolve pronouns than to
# learn a word; all other tasks have the weight 1.
_MODULE_WEIGHTS = {reference: 3, logic: 3, paraphrases: 3, reading: 2, reviews: 2, topics: 2}
_WEIGHT_OF_SENSES = 3
WEIGHTS: dict[str, int] = {
    entry.task.name: _WEIGHT_OF_SENSES
    if entry.task.name.startswith("sense_")
    else _MODULE_WEIGHTS.get(module, 1)
    for module in _MODULES
    for entry in module.TASKS
}


def mixture(rows: int, seed: int, *, validation: bool = False) -> list[tuple[str, Example]]:
    """Sample examples of all tasks, in proportion to their `WEIGHTS`.

    Args:
        rows: number of examples.
        seed: seed of the random numbers; the same rows and seed give the same list.
        validation: sample validation contents in place of training contents.

    Returns:
        (task name, example) pairs in random order; ids are unique over all tasks.
    """
    split = "validation" if validation else "train"
    ends = list(accumulate(WEIGHTS.values()))
    drawn = [
        (name, example)
        for (name, task), weight, end in zip(MIXTURE.items(), WEIGHTS.values(), ends, strict=True)
        for example in task.examples(
            split, rows * end // ends[-1] - rows * (end - weight) // ends[-1], seed
        )
    ]
    random.Random(f"{seed}/mixture/{split}").shuffle(drawn)
    return drawn


def showcase() -> list[tuple[MixtureTask, Example]]:
    """Each task of the mixture with its first training example."""
    return [(entry, entry.task.examples("train", 1, 0)[0]) for entry in MIXTURE_TASKS.values()]


def page() -> str:
    """The text of docs/mixture.md: what each task trains, with an example."""
    lines = [_HEAD.format(count=len(MIXTURE_TASKS))]
    for entry, example in showcase():
        lines += [
            f"### {entry.task.name}",
            f"Trains: {entry.skill}. {len(entry.wordings)} wordings,"
            f" weight {WEIGHTS[entry.task.name]}.",
            f"> {example.input}<br>\n> **{example.target}**",
        ]
    return "\n\n".join(lines) + "\n"


_HEAD = """# The instruction mixture of the micro world

Instruction-tuned bases are trained on {count} small tasks in the manner of FLAN. None of them is
one of the 23 evaluation tasks, none shares a template with them, and they have no content of the
validation and test rows of evaluation. They train the same skills in other words: finding and
checking what a text says, choosing among options, answering yes, no or maybe, knowing causes,
steps, kinds and senses. Tasks that small models are slow to learn have larger weights.

This page is written by `mergescale.tasks.micro_world.mixture.page()`; a test checks that it is up
to date. Each task is shown with its first training example."""

__all__ = ["MIXTURE", "WEIGHTS", "mixture", "page", "showcase"]
