"""Mixture tasks about opinions: siblings of sentiment analysis on other things, in other labels."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.lexicon import OPINION_ADJECTIVES
from mergescale.tasks.micro_world.mixture.mixture_task import (
    Content,
    coin,
    mixture_task,
    options,
    wording,
)
from mergescale.tasks.micro_world.mixture.scenes import person, sentence, two_people

YES_NO = ("yes", "no")
# What people have an opinion of here; evaluation has apps and films.
SUBJECTS = ("soup", "cake", "song", "book", "bike", "hat", "lamp", "garden", "party", "picture")
GRADES = ("very bad", "bad", "fair", "good", "very good")
POINTS = ("1", "2", "3", "4", "5")
# What somebody does or says who gives 1 to 5 points.
REACTIONS = {
    1: ("{p} threw it away", "{p} ran away from it", "it made {p} sick", "{p} was angry at it"),
    2: ("{p} gave it away", "{p} soon forgot it", "it made {p} sad", "{p} looked away"),
    3: ("{p} said nothing of it", "{p} saw it and went on", "it was like many others"),
    4: ("{p} came back for it", "{p} told a friend of it", "it made {p} happy", "{p} thanked us"),
    5: ("{p} sang and danced", "{p} told everybody of it", "it made {p} very happy", "{p} clapped"),
}


def _judged(rng: random.Random, grade: int, subject: str, name: str) -> str:
    """One or two sentences of somebody who gives `grade` points."""
    word = rng.choice(OPINION_ADJECTIVES[grade])
    said = rng.choice(
        (
            f"{name} finds the {subject} {word}",
            f"to {name} the {subject} was {word}",
            f"the {subject} of today was {word}",
        )
    )
    parts = [sentence(said), sentence(rng.choice(REACTIONS[grade]).format(p=name))]
    return " ".join(rng.sample(parts, rng.choice((1, 2, 2))))


def _rated(labels: tuple[str, ...], rng: random.Random) -> Content:
    grade, name, subject = rng.randrange(1, 6), person(rng).name, rng.choice(SUBJECTS)
    slots = {"text": _judged(rng, grade, subject, name), "p": name, "subject": subject}
    return Content(slots, labels[grade - 1], labels)


def _grade(rng: random.Random) -> Content:
    return _rated(GRADES, rng)


def _points(rng: random.Random) -> Content:
    return _rated(POINTS, rng)


def _better(rng: random.Random) -> Content:
    """Which of two things somebody likes more, or less."""
    low, high = sorted(rng.sample(range(1, 6), 2))
    worse, better = rng.sample(SUBJECTS, 2)
    name = person(rng).name
    parts = [
        sentence(f"the {subject} was {rng.choice(OPINION_ADJECTIVES[grade])}")
        for subject, grade in ((worse, low), (better, high))
    ]
    rng.shuffle(parts)
    asked, answer, other = rng.choice((("more", better, worse), ("less", worse, better)))
    slots = {"text": " ".join(parts), "asked": asked, "p": name}
    return Content(slots, f"the {answer}", options(rng, f"the {answer}", [f"the {other}"]))


def _pleased(rng: random.Random) -> Content:
    """Which of two people is pleased, or is not."""
    one, two = (p.name for p in two_people(rng))
    subject = rng.choice(SUBJECTS)
    text = [
        sentence(f"{name} found the {subject} {rng.choice(OPINION_ADJECTIVES[grade])}")
        for name, grade in ((one, rng.choice((4, 5))), (two, rng.choice((1, 2))))
    ]
    rng.shuffle(text)
    asked, answer, other = rng.choice(
        (
            ("pleased", one, two),
            ("not pleased", two, one),
            ("positive", one, two),
            ("negative", two, one),
        )
    )
    slots = {"text": " ".join(text), "asked": asked, "subject": subject}
    return Content(slots, answer, options(rng, answer, [other]))


def _in_the_end(rng: random.Random) -> Content:
    """Something good and something bad; what comes after "but" counts."""
    name, subject = person(rng).name, rng.choice(SUBJECTS)
    yes = coin(rng)
    grades = (rng.choice((1, 2)), rng.choice((4, 5)))
    first, last = grades if yes else grades[::-1]
    words = [rng.choice(OPINION_ADJECTIVES[grade]) for grade in (first, last)]
    text = rng.choice(
        (
            f"at first {name} found the {subject} {words[0]}, but then it was {words[1]}",
            f"others say the {subject} is {words[0]}, but to {name} it is {words[1]}",
            f"{name} thinks that the {subject} looks {words[0]}, but it is {words[1]}",
        )
    )
    slots = {"text": sentence(text), "p": name, "subject": subject}
    return Content(slots, "yes" if yes else "no", YES_NO)


def _opinion_word(rng: random.Random) -> Content:
    """Which word somebody says of a thing that she likes or does not like."""
    name, subject = person(rng).name, rng.choice(SUBJECTS)
    likes = coin(rng)
    good, bad = (rng.choice(OPINION_ADJECTIVES[rng.choice(g)]) for g in ((4, 5), (1, 2)))
    answer, other = (good, bad) if likes else (bad, good)
    said = f"{name} {'loves' if likes else 'hates'} the {subject}"
    return Content({"said": sentence(said), "p": name}, answer, options(rng, answer, [other]))


TASKS = (
    mixture_task(
        "grade", "grades an opinion", _grade,
        "{text} So what does {p} think of it: {either}?", "{text} The grade for the {subject}:",
        "How good is the {subject}? {text} Grades: {listed}.", "Read this and give a grade. {text}",
    ),
    mixture_task(
        "points", "grades an opinion in points", _points,
        "{text} From 1 to 5, how many points does {p} give?",
        "Points of {p} for the {subject}? {text}", "{text} Points, 5 for the best:",
        "User {p} wrote: {text} Stars as a number:", "{text} What number of stars, 1 to 5?",
    ),
    mixture_task(
        "better", "compares two opinions", _better,
        "{p} writes: {text} What does {p} like {asked}: {either}?",
        "{text} Which of them did {p} like {asked}?",
    ),
    mixture_task(
        "pleased", "tells who is pleased", _pleased,
        "{text} Who is {asked} about the {subject}?", "{text} {either}: who of them is {asked}?",
        "Whose word is {asked}? {text}", "Reviews: {text} The one who is {asked} is",
    ),
    mixture_task(
        "in_the_end", "weighs the two sides of an opinion", _in_the_end,
        "{text} In the end, does {p} like it?",
        "{text} Is the last word of {p} positive? yes or no?",
        wording("{text} Is it a negative review? {either}?", yes="not at all", no="it is"),
        wording("{text} All in all, is it praise or blame?", yes="praise", no="blame"),
        wording("The word of {p}: {text} So is the {subject} {either}?", yes="fine", no="poor"),
        wording("{text} Is {p} for it or against it?", yes="for it", no="against it"),
    ),
    mixture_task(
        "opinion_word", "knows words of praise and blame", _opinion_word,
        "{said} So {p} calls it {either}.", "{said} What would {p} say of it: {either}?",
        "{said} In the review of {p} it is",
        "Word of {p}? {said} {lettered}",
    ),
)  # fmt: skip
