"""The instruction mixture of the micro world: many small tasks in the manner of FLAN.

None of them is one of the 23 evaluation tasks and none shares a template with them; together they
train the skills that those need, in other words. `MIXTURE` holds the tasks by name, `mixture` draws
the rows on which bases are instruction-tuned.
"""

from __future__ import annotations

import random
from itertools import accumulate

from mergescale.tasks.micro_world.mixture import causes, logic, recall, reference, stories, words
from mergescale.tasks.micro_world.mixture.form import Form
from mergescale.tasks.task import Example, Task

FORMS: dict[str, Form] = {
    made.task.name: made
    for module in (words, causes, reference, logic, stories, recall)
    for made in module.TASKS
}
MIXTURE: dict[str, Task] = {name: made.task for name, made in FORMS.items()}
# Comparing, concluding and telling who is meant take a small model many more rows to learn than
# knowing a word does: tasks that train them come this many times as often as the others.
_OFTEN = 3
_HARD = (*reference.TASKS, *logic.TASKS)
WEIGHTS: dict[str, int] = {
    name: _OFTEN if made in _HARD or name.startswith("sense_") else 1
    for name, made in FORMS.items()
}


def mixture(rows: int, seed: int, *, validation: bool = False) -> list[tuple[str, Example]]:
    """Draw `rows` examples in random order, with the names of their tasks.

    A task has rows in proportion to its weight in `WEIGHTS`. Ids are unique over all tasks. The
    same `rows` and `seed` give the same list.
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


def showcase() -> list[tuple[Form, Example]]:
    """Every task of the mixture with its first training example, for the documentation."""
    return [(made, made.task.examples("train", 1, 0)[0]) for made in FORMS.values()]


def page() -> str:
    """The documentation page `docs/mixture.md`: what each task trains, with an example."""
    lines = [_HEAD.format(count=len(FORMS))]
    for made, example in showcase():
        lines += [
            f"### {made.task.name}",
            f"Trains: {made.skill}. {len(made.wordings)} wordings,"
            f" weight {WEIGHTS[made.task.name]}.",
            f"> {example.input}<br>\n> **{example.target}**",
        ]
    return "\n\n".join(lines) + "\n"


_HEAD = """# The instruction mixture of the micro world

Instruction-tuned bases are trained on {count} small tasks in the manner of FLAN. None of them is
one of the 23 evaluation tasks, none shares a template with them, and no content that evaluation
tests or validates on occurs in them. They exercise the same skills in other words and forms:
finding and checking what a text says, choosing among options, saying yes, no or maybe, knowing
causes, steps, kinds and senses. Tasks that small models are slow to learn have larger shares.

This page is written by `mergescale.tasks.micro_world.mixture.page()`, and a test keeps it in step.
Each task is shown with its first training example."""

__all__ = ["FORMS", "MIXTURE", "WEIGHTS", "mixture", "page", "showcase"]
