"""Paraphrase identification: pairs of statements (MRPC) and of questions (QQP)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.facts import relations_of
from mergescale.tasks.micro_world.sampling import Content, make_task
from mergescale.tasks.micro_world.world import WORLD, a, at, knowledge, lexicon, sentence

DEEDS = ("bought", "found", "lost", "sold", "painted", "carried")
# Other words for the same; "got" stands for "bought" only.
OTHER_WORDS = {"bought": "got", "big": "large", "small": "little", "old": "old", "new": "new"}
SIZES = ("big", "small", "old", "new")
ANSWERS = ("yes", "no")


def _said(person: str, deed: str, thing: str, spot: str, front: bool) -> str:
    """The same event with the spot at the end or at the front."""
    if front:
        return sentence(f"{at(spot)} {person} {deed} {a(thing)}")
    return sentence(f"{person} {deed} {a(thing)} {at(spot)}")


def _reworded(phrase: str) -> str:
    """The phrase with every word that has a second name replaced by it."""
    return " ".join(OTHER_WORDS.get(word, word) for word in phrase.split())


def _mrpc(rng: random.Random, label: int) -> Content:
    """One event told twice in other words and order; or two events with the same person."""
    person = rng.choice(WORLD.names())
    spot, other_spot = rng.sample(lexicon.SPOTS, 2)
    deed, other_deed = rng.sample(DEEDS, 2)
    things = rng.sample(lexicon.THINGS, 2)
    thing, other_thing = (f"{rng.choice(SIZES)} {noun}" for noun in things)
    front = rng.random() < 0.5
    first = _said(person, deed, thing, spot, front)
    if label == 1:
        deed, thing, spot = other_deed, other_thing, other_spot
    second = _said(person, _reworded(deed), _reworded(thing), spot, not front)
    if rng.random() < 0.5:
        first, second = second, first
    slots = {"first": first, "second": second}
    return Content(f"{first} {second}", slots, ANSWERS[label], ANSWERS)


HOW_TO = ("how do I {goal}", "how can I {goal}", "what is the best way to {goal}")


def _wordings(rng: random.Random) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All wordings of one question and all wordings of another one about the same subject."""
    if rng.random() < 0.4:
        goal, other = rng.sample(tuple(knowledge.SCRIPTS), 2)
        return tuple(h.format(goal=goal) for h in HOW_TO), tuple(
            h.format(goal=other) for h in HOW_TO
        )
    person = rng.choice(WORLD.names())
    asked, other_relation = rng.sample(relations_of(person), 2)
    return (
        tuple(q.format(s=person) for q in asked.questions),
        tuple(q.format(s=person) for q in other_relation.questions),
    )


def _qqp(rng: random.Random, label: int) -> Content:
    """Two wordings of one question, or two questions about the same person."""
    same, other = _wordings(rng)
    first, second = rng.sample(same, 2) if label == 0 else (rng.choice(same), rng.choice(other))
    slots = {"first": sentence(first, "?"), "second": sentence(second, "?")}
    return Content(f"{first} {second}", slots, ANSWERS[label], ANSWERS)


MRPC = make_task(
    "mrpc",
    "MRPC",
    "accuracy",
    "Two sentences: do they tell the same event?",
    resembles="as in MRPC, two statements that share many words; they are paraphrases or not.",
    templates={
        "same": "{first} {second} Do these sentences mean the same?",
        "numbered": "Sentence one: {first} Sentence two: {second} Is it the same? yes or no?",
        "before": "Do both sentences tell the same? {first} {second}",
        "again": "I said: {first} Then I said: {second} Did I say the same again?",
    },
    draw=_mrpc,
    labels=2,
)
QQP = make_task(
    "qqp",
    "QQP",
    "accuracy",
    "Two questions: do they ask for the same thing?",
    resembles="as in QQP, two questions about the same subject; they ask for the same thing or "
    "not.",
    templates={
        "same": "{first} {second} Do these questions ask the same?",
        "numbered": "Question one: {first} Question two: {second} Is it the same? yes or no?",
        "before": "Would both questions get the same answer? {first} {second}",
        "again": "I asked: {first} Then I asked: {second} Did I ask the same again?",
    },
    draw=_qqp,
    labels=2,
)
TASKS = (MRPC, QQP)
