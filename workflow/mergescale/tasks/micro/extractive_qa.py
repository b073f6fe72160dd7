"""Extractive QA: a passage with a distractor (Adversarial QA) and a rule to apply (ROPES)."""

from __future__ import annotations

import random

from mergescale.tasks.micro.sampling import Content, make_task, pick_pair
from mergescale.tasks.micro.world import WORLD, at, knowledge, lexicon, sentence

DEEDS = ("bought", "found", "lost", "sold", "painted", "washed")


def _adversarial_qa(rng: random.Random, _: int) -> Content:
    """Two sentences alike in all but the words; the question names a word of one of them.

    What is asked stands right beside that word ("Anna washed a red kite in the park"), as a small
    model can find it; the other sentence has an answer of the same kind.
    """
    people = pick_pair(rng, WORLD.names())
    things, deeds = rng.sample(lexicon.THINGS, 2), rng.sample(DEEDS, 2)
    colours, spots = rng.sample(lexicon.COLOURS, 2), rng.sample(lexicon.SPOTS, 2)
    passage = " ".join(
        f"{person} {deed} a {colour} {thing} {at(spot)}."
        for person, deed, colour, thing, spot in zip(
            people, deeds, colours, things, spots, strict=True
        )
    )
    which = rng.randrange(2)
    question, answer = rng.choice(
        (
            (f"Who {deeds[which]} something?", people[which]),
            (f"Which colour was the {things[which]}?", colours[which]),
            (f"Where was the {things[which]}?", at(spots[which])),
        )
    )
    slots = {"passage": passage, "question": question}
    return Content(f"{passage} {question}", slots, answer)


def _ropes(rng: random.Random, which: int) -> Content:
    """A rule, two cases that differ in what the rule speaks of, and whose outcome it is."""
    rule, thing, *conditions, case, one, two = rng.choice(knowledge.RULES)
    people = pick_pair(rng, WORLD.names())
    cases = [
        sentence(f"{condition} {case.format(p=person)}")
        for condition, person in zip(conditions, people, strict=True)
    ]
    rng.shuffle(cases)
    situation = " ".join(cases)
    question = f"Whose {thing} is {(one, two)[which]}?"
    slots = {"rule": sentence(rule), "situation": situation, "question": question}
    return Content(f"{situation} {question}", slots, people[which])


ADVERSARIAL_QA = make_task(
    "adversarial_qa",
    "Adversarial QA",
    "squad_f1",
    "A passage with a distractor that looks alike; the answer is a span of the passage.",
    templates={
        "after": "{passage} {question}",
        "before": "Answer from the text. {question} Text: {passage}",
        "extract": "Passage: {passage} Question: {question} Copy the answer.",
        "read": "Read this and answer: {question} {passage}",
    },
    draw=_adversarial_qa,
)
ROPES = make_task(
    "ropes",
    "ROPES",
    "squad_f1",
    "A rule of cause and effect, a new situation, a question that needs the rule.",
    templates={
        "rule_first": "{rule} {situation} {question}",
        "rule_last": "{situation} Remember: {rule} {question}",
        "before": "Question: {question} Rule: {rule} Case: {situation}",
    },
    draw=_ropes,
    labels=2,
)
TASKS = (ADVERSARIAL_QA, ROPES)
