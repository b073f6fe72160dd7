"""Closed-book QA: questions over two facts (HotpotQA) and answer sentences (WikiQA)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.facts import relations_of, value
from mergescale.tasks.micro_world.sampling import Content, make_task
from mergescale.tasks.micro_world.world import WORLD, lexicon, sentence

# first hop: {second hop: question}. `{s}` is a person; the thing in the middle is never named.
HOPS = {
    "home": {
        "region": "in which region does {s} live",
        "river": "which river runs through the home town of {s}",
        "known_for": "what is the home town of {s} known for",
        "sight": "what do people visit in the home town of {s}",
    },
    "friend": {
        "home": "where does the best friend of {s} live",
        "job": "what is the job of the best friend of {s}",
        "pet": "what is the pet of the best friend of {s}",
        "food": "what is the favorite food of the best friend of {s}",
        "color": "what is the favorite color of the best friend of {s}",
    },
    "mother": {
        "home": "where does the mother of {s} live",
        "job": "what is the job of the mother of {s}",
        "pet": "what is the pet of the mother of {s}",
        "food": "what is the favorite food of the mother of {s}",
        "color": "what is the favorite color of the mother of {s}",
    },
    "job": {"workplace": "in which place does {s} work"},
    "pet": {"eats": "what does the pet of {s} eat"},
}


def two_hops(person: str, first: str, second: str) -> str:
    """Follow two facts: `two_hops("Anna", "friend", "home")`; empty where one is missing."""
    middle = value(person, first)
    if not middle:
        return ""
    if first == "job":
        return WORLD.jobs[middle].workplace
    if first == "pet":
        return lexicon.ANIMAL_FACTS[middle][2]
    return value(middle, second)


def _all_hops() -> list[tuple[str, str, str, str]]:
    """(question, answer, person, hops) for every person and every pair of hops that exists."""
    return [
        (question.format(s=person), two_hops(person, first, second), person, f"{first}/{second}")
        for person in WORLD.people
        for first, seconds in HOPS.items()
        for second, question in seconds.items()
        if two_hops(person, first, second)
    ]


ALL_HOPS = _all_hops()


def _hotpot_qa(rng: random.Random, _: int) -> Content:
    question, answer, person, hops = rng.choice(ALL_HOPS)
    slots = {"question": sentence(question, "?"), "bare": question, "person": person}
    return Content(f"{person}/{hops}", slots, answer)


def _wiki_qa(rng: random.Random, label: int) -> Content:
    """A question and a true sentence about its subject: on what was asked, or on something else."""
    subject = rng.choice((*WORLD.people, *WORLD.people, *WORLD.places))
    asked, other = rng.sample(relations_of(subject), 2)
    said = asked if label == 0 else other
    question = rng.choice(asked.questions).format(s=subject)
    statement = rng.choice(said.statements).format(s=subject, v=value(subject, said.name))
    slots = {"question": sentence(question, "?"), "statement": sentence(statement)}
    return Content(f"{question} {statement}", slots, ("yes", "no")[label], ("yes", "no"))


HOTPOT_QA = make_task(
    "hotpot_qa",
    "HotpotQA",
    "exact_match",
    "A question that needs two facts of the corpus, without the facts.",
    resembles="as in HotpotQA asked without context, the answer needs two facts; the thing in "
    "the middle (a friend, a mother, a home town, a job, a pet) is not named.",
    templates={
        "plain": "{question}",
        "question": "Question: {question}",
        "know": "Tell me what you know of {person}. {question}",
        "hard": "Here is a hard question. {question}",
    },
    draw=_hotpot_qa,
)
WIKI_QA = make_task(
    "wiki_qa",
    "WikiQA",
    "accuracy",
    "A question and a sentence: does the sentence answer the question?",
    resembles="as in WikiQA, a question and a candidate sentence about the same subject; only "
    "sometimes it is the answer.",
    templates={
        "answers": "{question} {statement} Does the sentence answer the question?",
        "first": "Sentence: {statement} Question: {question} Does it answer this? yes or no?",
        "good": "Is this a good answer? Question: {question} Answer: {statement}",
        "told": "I asked: {question} I was told: {statement} Was it an answer?",
    },
    draw=_wiki_qa,
    labels=2,
)
TASKS = (HOTPOT_QA, WIKI_QA)
