"""Extractive QA: a passage with a distractor (Adversarial QA) and a rule to apply (ROPES)."""

from __future__ import annotations

import random

from mergescale.tasks.micro.sampling import Content, make_task, pick_pair
from mergescale.tasks.micro.world import WORLD, a, at, knowledge, lexicon, sentence

DEEDS = ("bought", "found", "lost", "sold", "painted", "washed")


def _adversarial_qa(rng: random.Random, _: int) -> Content:
    """Two people do something with the same kind of thing; only one of them is asked about."""
    people = pick_pair(rng, WORLD.names())
    thing = rng.choice(lexicon.THINGS)
    deeds = rng.sample(DEEDS, 2)
    colours = rng.sample(lexicon.COLOURS, 2)
    spots = rng.sample(lexicon.SPOTS, 2)
    passage = " ".join(
        f"{person} {deed} a {colour} {thing} {at(spot)}."
        for person, deed, colour, spot in zip(people, deeds, colours, spots, strict=True)
    )
    which = rng.randrange(2)
    person, deed, colour, spot = people[which], deeds[which], colours[which], spots[which]
    question, answer = rng.choice(
        (
            (f"Who {deed} {a(thing)}?", person),
            (f"Which colour was the {thing} of {person}?", colour),
            (f"Where was {person}?", at(spot)),
        )
    )
    slots = {"passage": passage, "question": question}
    return Content(f"{passage} {question}", slots, answer)


def _ropes(rng: random.Random, which: int) -> Content:
    """A rule, two cases that differ in what the rule speaks of, and whose outcome it is."""
    rule, thing, *rest = rng.choice(knowledge.RULES)
    conditions, outcomes = rest[:2], rest[2:]
    people = pick_pair(rng, WORLD.names())
    order = rng.sample((0, 1), 2)
    situation = " ".join(
        sentence(f"the {thing} of {people[i]} is {conditions[order[i]]}") for i in (0, 1)
    )
    question = f"Whose {thing} is {outcomes[which]}?"
    slots = {"rule": sentence(rule), "situation": situation, "question": question}
    return Content(f"{situation} {question}", slots, people[order.index(which)])


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
