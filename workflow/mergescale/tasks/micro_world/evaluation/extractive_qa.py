"""Extractive QA: a passage with a distractor (Adversarial QA) and a rule to apply (ROPES)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.sampling import Content, make_task, pick_pair
from mergescale.tasks.micro_world.world import WORLD, a, at, knowledge, lexicon, sentence

DEEDS = ("bought", "found", "lost", "sold", "painted", "washed")


# The fraction of rows that require telling two of a kind apart. Small models find a thing of the
# right kind, but seldom the one of two that belongs to a name: these rows separate the sizes.
TWO_OF_A_KIND = 0.15


def _adversarial_qa(rng: random.Random, _: int) -> Content:
    """Two sentences alike; the question is about one of them, the other one misleads."""
    people = pick_pair(rng, WORLD.names())
    things, deeds = rng.sample(lexicon.THINGS, 2), rng.sample(DEEDS, 2)
    spots = [at(spot) for spot in rng.sample(lexicon.SPOTS, 2)]
    sentences = [
        f"{person} {deed} {a(thing)} {spot}"
        for person, deed, thing, spot in zip(people, deeds, things, spots, strict=True)
    ]
    # Each question with its answer, and the other sentence without an answer of that kind.
    question, answer, harmless = rng.choice(
        (
            (f"Who {deeds[0]} something?", people[0], f"the {things[1]} was {spots[1]}"),
            (f"What was {deeds[0]}?", a(things[0]), f"{people[1]} was {spots[1]}"),
            (f"Where was the {things[0]}?", spots[0], f"{people[1]} {deeds[1]} {a(things[1])}"),
        )
    )
    if rng.random() >= TWO_OF_A_KIND:
        sentences[1] = harmless
    rng.shuffle(sentences)
    passage = " ".join(sentence(t) for t in sentences)
    slots = {"passage": passage, "question": question}
    return Content(f"{passage} {question}", slots, answer)


def _ropes(rng: random.Random, which: int) -> Content:
    """A rule, two cases that differ in what the rule speaks of: which one has this outcome?"""
    rule, thing, *conditions, case, one, two = rng.choice(knowledge.RULES)
    people = pick_pair(rng, WORLD.names())
    cases = [
        sentence(f"{condition} {case.format(p=person)}")
        for condition, person in zip(conditions, people, strict=True)
    ]
    rng.shuffle(cases)
    situation = " ".join(cases)
    outcome = (one, two)[which]
    if rng.random() < TWO_OF_A_KIND:
        question, answer = f"Whose {thing} is {outcome}?", people[which]
    else:
        question, answer = f"Which {thing} is {outcome}?", f"the {thing} {conditions[which]}"
    slots = {"rule": sentence(rule), "situation": situation, "question": question}
    return Content(f"{situation} {question}", slots, answer)


ADVERSARIAL_QA = make_task(
    "adversarial_qa",
    "Adversarial QA",
    "squad_f1",
    "A passage with a distractor that looks alike; the answer is a span of the passage.",
    resembles="as in Adversarial QA, the answer is a span of the passage, and a second sentence "
    "that looks alike is there to mislead.",
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
    resembles="as in ROPES, a rule of cause and effect has to be applied to a new situation; the "
    "answer is a span of the situation.",
    templates={
        "rule_first": "{rule} {situation} {question}",
        "rule_last": "{situation} Remember: {rule} {question}",
        "before": "Question: {question} Rule: {rule} Case: {situation}",
    },
    draw=_ropes,
    labels=2,
)
TASKS = (ADVERSARIAL_QA, ROPES)
