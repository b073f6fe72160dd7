"""Writes docs/micro_world.md: one example of each task and a few documents of the corpus.

`python -m mergescale.tasks.micro_world.showcase > docs/micro_world.md` updates the page; a test
checks that it is up to date.
"""

from __future__ import annotations

from mergescale.tasks.micro_world.corpus import corpus
from mergescale.tasks.micro_world.evaluation import CATEGORIES
from mergescale.tasks.micro_world.world import WORLD, join, knowledge, lexicon
from mergescale.tasks.mixtures.t0_datasets import STUDY_DATASETS
from mergescale.tasks.task import Example, Task

HEAD = """\
# The micro world

A small synthetic world in a small subset of English: models of 40,000 to 500,000 parameters can
learn it within minutes on one processor core, and larger ones learn it better. The pre-training
corpus, the instruction mixture, and stand-ins for all 23 datasets are generated from it.

This page is written by `python -m mergescale.tasks.micro_world.showcase`; a test checks that it is
up to date.

## What there is

| | |
|---|---|
"""
TASKS_HEAD = """
Everything is fixed by one seed (`world.WORLD_SEED`). A person's home, job or pet is arbitrary: it
can only be learned from the corpus. That rain makes streets wet is common sense, which the corpus
teaches as well, in several wordings.

## The tasks

Bases are instruction-tuned on a mixture that is to these tasks what FLAN is to T0's datasets: every
category has siblings in it, which [mixture.md](mixture.md) shows with an example each. No sibling
has a template, a label set or a content of a task (yes and no apart), and rows that share an 8-gram
with a validation or test row of the study are removed.

Each task has at least three prompt templates with the same meaning. The hash of a content (what a
prompt is about, without the template) decides whether it belongs to train, validation or test, so
the splits share no content. Labels occur equally often, in every prefix of the rows. The ceiling
of every task is 1: a gold answer follows from the prompt and the corpus alone. HotpotQA has few
contents: there are {hops} questions over two hops in this world, and its rows are these questions
in several templates.

We tuned tasks, mixture and training settings so that the tasks are learnable: a task that no
model learned within minutes was made easier (few rows require telling which of two people
something belongs to), or the corpus and the mixture got more of what it needs. The present
version was tuned on scores of bases and experts on validation rows of seed 0, held-out tasks
among them; earlier versions were also tuned on test rows of that seed. Scores of merges played no
part. A run with seed 1 took too long: its test scores were seen, and the two largest sizes and
the multitask steps were then reduced. The default study has seed 2, so its test rows, its
training and its samples of rows are new, but the tasks are the tuned ones: a task that beats
chance zero-shot does so because it was made learnable.
"""
CRITERIA = """
## Criteria for bases and experts

The paper's bases are strong and its experts are small moves: large models move little when they are
fine-tuned, keep what they knew, and their merges can be compared. Small models trained on few tasks
are none of this by themselves. These criteria were written down before the present mixture was
tried. They look at bases and experts of a study with another seed than the default study's, on
validation rows (`python benchmarks/regime.py STUDY` prints them), and never at a merge. At the
largest size, for the instruction-tuned base:

| criterion | bar |
|---|---|
| base on a held-in category, zero-shot, over its expert | mean 0.6 or more, each 0.35 or more |
| expert on its category, over the ceiling of 1 | mean 0.9 or more |
| expert on held-out tasks, over the base | mean 0.97 or more |
| relative norm of a task vector, the length of W - W0 over that of W0 | 0.05 or less |
| held-out tasks with the base two standard errors above chance | 5 of 7; second largest size 4 |

Every size is to be better than the one before in all of these means. The same numbers are looked at
for the pre-trained base, without a bar.

## What was tried

Instruction-tuned base of 500,000 parameters, 7,500 steps of 16 rows, zero-shot. No merge was looked
at. The first line is the default study as it was before the present mixture, on test rows of its
seed; the others are on 128 validation rows a task of seed 0.

| mixture | held-in mean | held-out mean | held-out tasks above chance |
|---|---|---|---|
| 43 tasks, no siblings | 0.313 | 0.705 | 4 of 7 |
| 85 tasks, with siblings | 0.316 | 0.698 | 6 of 7 |
| 86 tasks, wordings with the words of instructions | 0.341 | 0.672 | 4 of 7 |

Words of instructions that a base has never read (highlights, facts, stars, negative) make it answer
with nothing or in the form of another task. Once wordings had them, sentiment rose from 0.29 to
0.60, and highlights and biographies doubled; questions on texts fell, as every task now has half of
the rows. The bars for the base on held-in categories are not met: what is missing is training in
more wordings. The settings of training are still those of the former mixture.
"""
CORPUS_HEAD = """
## The corpus

Documents have two or three passages about one person, and about 65 tokens. Three of them:
"""


def _world_rows() -> list[tuple[str, str]]:
    anna = WORLD.people["Anna"]
    kinds = ", ".join(f"{kind} ({', '.join(m)})" for kind, m in lexicon.CATEGORIES.items())
    before, after = knowledge.CAUSES[0]
    goals = join(tuple(knowledge.SCRIPTS)[:4], "or")
    return [
        (
            "people",
            f"{len(WORLD.people)}, each with a home, a job, a pet, a favorite food and color, a "
            f"best friend and (but for the elders) a mother. Anna lives in {anna.home}, is a "
            f"{anna.job} and has a {anna.pet}; her best friend is {anna.friend}",
        ),
        (
            "towns",
            f"{join(tuple(WORLD.places))}, each with a region, a river, a specialty and a sight",
        ),
        ("kinds of things", kinds),
        ("causes", f"{len(knowledge.CAUSES)}: {before}, so {after}"),
        ("scripts", f"{len(knowledge.SCRIPTS)}: how to {goals} ..."),
        ("ambiguous words", join(tuple(knowledge.SENSES))),
        (
            "motives",
            f"{len(knowledge.MOTIVES)} deeds of one person to another, with reasons on either side",
        ),
        ("rules", "; ".join(rule[0] for rule in knowledge.RULES)),
        ("feelings", join(tuple(lexicon.FEELINGS))),
        ("news", join(tuple(knowledge.NEWS))),
    ]


def showcase() -> list[tuple[str, Task, Example]]:
    """(category, task, first test example) of every task; the study's categories come first."""
    study = list(STUDY_DATASETS)
    first = {
        category: study.index(tasks[0].name) if tasks[0].name in study else len(study)
        for category, tasks in CATEGORIES.items()
    }
    return [
        (category, task, task.examples("test", 1, 0)[0])
        for category in sorted(CATEGORIES, key=first.__getitem__)
        for task in CATEGORIES[category]
    ]


def page() -> str:
    """The whole of docs/micro_world.md."""
    from mergescale.tasks.micro_world.evaluation.closed_book_qa import ALL_HOPS
    from mergescale.tasks.micro_world.mixture.siblings import SIBLINGS

    lines = [HEAD + "".join(f"| {name} | {text} |\n" for name, text in _world_rows())]
    lines.append(TASKS_HEAD.format(hops=len(ALL_HOPS)))
    last = ""
    for category, task, example in showcase():
        if category != last:
            lines.append(f"\n### {category.replace('_', ' ').capitalize()}\n")
            if siblings := SIBLINGS.get(category):
                names = ", ".join(f"`{name}`" for name in siblings.tasks)
                lines.append(f"\nSiblings in the mixture: {names}. {siblings.difference}\n")
            last = category
        choices = f" (of: {' / '.join(example.choices)})" if example.choices else ""
        lines.append(
            f"\n**{task.title}** (`{task.name}`, {task.metric}): {task.resembles}\n\n"
            f"> {example.input}\n>\n> **{example.target}**{choices}\n"
        )
    lines += [CRITERIA, CORPUS_HEAD]
    lines += [f"\n> {document}\n" for document in corpus(3, 0)]
    return "".join(lines)


if __name__ == "__main__":
    print(page(), end="")
