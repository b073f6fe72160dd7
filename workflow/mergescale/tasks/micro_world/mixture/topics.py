"""Mixture tasks about subjects and kinds: siblings of topic classification on other texts."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.knowledge import NEWS
from mergescale.tasks.micro_world.lexicon import ANIMAL_FACTS, FOODS, GOODS, SURNAMES
from mergescale.tasks.micro_world.mixture.mixture_task import (
    Content,
    coin,
    mixture_task,
    options,
    others,
    wording,
)
from mergescale.tasks.micro_world.mixture.scenes import person, sentence
from mergescale.tasks.micro_world.world import WORLD

# Subjects of letters. They correspond to the sections of the news, by other names and sentences.
SUBJECTS = {
    "politics": ("{p} wrote to the king", "the queen is old and tired", "{p} wants peace",
                 "who will vote for {p}?", "people hate this law", "I fear the army at the border"),
    "games": ("{p} plays in my team", "the coach told {p} to run", "we want to see the match",
              "who scored the last goal?", "this player never won a race", "{p} lost the cup"),
    "trade": ("{p} brought gold to the bank", "my shop is full of wool", "{p} left the company",
              "who pays this price?", "we need money for the market", "gold is the best money"),
    "research": ("{p} reads a study each day", "my robot is old", "we look at the moon at night",
                 "who made this machine?", "the test of {p} was hard", "is there a far planet?"),
}  # fmt: skip
_NEWS_OF = {"politics": "world", "games": "sports", "trade": "business", "research": "science"}
# What an entry is about, in coarse kinds that are not the classes of evaluation.
KINDS = {
    "somebody": ("{p} {s} was a child in {place}", "{p} {s} likes {food}",
                 "{p} {s} is the mother of {n}", "we met {p} {s} in the {region}"),
    "somewhere": ("you can walk to {t} from {place}", "{t} is in the {region}, far away",
                  "it often rains in {t}", "a road leads from {place} to {t}"),
    "a creature": ("{t} runs and eats {feed}", "{t} lives in the {home} and eats {feed}",
                   "a young {t} needs its mother", "{t} sleeps in the {home}"),
    "a work": ("{t} tells of a {job} and a {job2}", "people clapped after {t}",
               "{t} has a happy ending", "{t} was made by a {job}"),
    "a shop": ("you can buy {goods} at {t}", "{t} opens early and sells {goods}",
               "{t} earns money with {goods}", "we got our {goods} at {t}"),
}  # fmt: skip
_NAMES = ("Lark", "Finch", "Coral")


def _letter(rng: random.Random, subject: str, count: int) -> str:
    said = rng.sample(SUBJECTS[subject], count)
    name = person(rng).name
    return " ".join(
        sentence(text.format(p=name), "" if text.endswith("?") else ".") for text in said
    )


def _subject(rng: random.Random) -> Content:
    subject = rng.choice(tuple(SUBJECTS))
    return Content({"text": _letter(rng, subject, 2)}, subject, tuple(SUBJECTS))


def _two_subjects(rng: random.Random) -> Content:
    """One sentence, and two subjects to choose from."""
    subject = rng.choice(tuple(SUBJECTS))
    other = others(rng, tuple(SUBJECTS), subject, 1)
    return Content({"text": _letter(rng, subject, 1)}, subject, options(rng, subject, other))


def _same_subject(rng: random.Random) -> Content:
    first = rng.choice(tuple(SUBJECTS))
    yes = coin(rng)
    second = first if yes else others(rng, tuple(SUBJECTS), first, 1)[0]
    while (x := _letter(rng, first, 1)) == (y := _letter(rng, second, 1)):
        pass
    return Content({"x": x, "y": y}, "yes" if yes else "no", ("yes", "no"))


def _subject_word(rng: random.Random) -> Content:
    """Which word goes with two words of a subject."""
    subject, *wrong = rng.sample(tuple(SUBJECTS), 3)
    *shown, answer = rng.sample(NEWS[_NEWS_OF[subject]][0], 3)
    outside = [
        rng.choice([w for w in NEWS[_NEWS_OF[name]][0] if w not in (*shown, answer)])
        for name in wrong
    ]
    slots = {"x": shown[0], "y": shown[1], "subject": subject}
    return Content(slots, answer, options(rng, answer, list(dict.fromkeys(outside))))


def _entry_kind(rng: random.Random) -> Content:
    """Whether an entry is about a person, a place, an animal, a work or a shop."""
    kind = rng.choice(tuple(KINDS))
    animal = rng.choice(tuple(ANIMAL_FACTS))
    jobs = rng.sample(tuple(WORLD.jobs), 2)
    text = rng.choice(KINDS[kind]).format(
        p=person(rng).name,
        n=person(rng).name,
        s=rng.choice(SURNAMES),
        t=animal if kind == "a creature" else rng.choice(_NAMES),
        place=rng.choice(tuple(WORLD.places)),
        region=rng.choice(("north", "east", "south", "west")),
        food=rng.choice(FOODS),
        feed=ANIMAL_FACTS[animal][2],
        home=ANIMAL_FACTS[animal][1],
        job=jobs[0],
        job2=jobs[1],
        goods=rng.choice(GOODS),
    )
    return Content({"text": sentence(text)}, kind, tuple(KINDS))


def _which_job(rng: random.Random) -> Content:
    """The job of somebody from what he does, among six."""
    answer = rng.choice(tuple(WORLD.jobs))
    job = WORLD.jobs[answer]
    name, surname = person(rng).name, rng.choice(SURNAMES)
    said = rng.choice((f"{name} {surname} {job.does}", f"each day {name} {surname} {job.does}"))
    wrong = others(rng, tuple(WORLD.jobs), answer, rng.choice((3, 5)))
    return Content({"said": sentence(said)}, answer, options(rng, answer, wrong))


TASKS = (
    mixture_task(
        "subject", "tells the subject of a letter", _subject,
        "Letter: {text} Subject:", "{text} Is this letter about {either}?",
        "What is this letter about? {text}", "Subjects: {listed}. {text} Which subject is it?",
        "Letter: {text} Topic:", "In which part of a paper does this belong? {text} {either}?",
    ),
    mixture_task(
        "two_subjects", "tells the subject of a sentence", _two_subjects,
        "{text} Does this belong to {either}?", "Text: {text} Subjects: {listed}.",
        "{lettered} Put this text in its place. {text}",
    ),
    mixture_task(
        "same_subject", "compares the subjects of two sentences", _same_subject,
        "{x} {y} Do both letters have one subject?",
        wording("{x} {y} Subjects: {either}?", yes="alike", no="different"),
        "One letter: {x} Other letter: {y} Would you put them together? yes or no?",
    ),
    mixture_task(
        "subject_word", "knows the words of a subject", _subject_word,
        "Which word goes with {x} and {y}: {either}?",
        "A word of {subject}, like {x} and {y}: {either}?", "{x}, {y}, and then? {lettered}",
    ),
    mixture_task(
        "entry_kind", "tells what kind of thing a text describes", _entry_kind,
        "{text} Who or what is it: {either}?", "Entry: {text} It is about",
        "{text} Put this entry under one of these: {listed}.",
        "Text: {text} Kind:", "Of what kind is this? {text} Choose from: {either}.",
    ),
    mixture_task(
        "which_job", "chooses from many", _which_job,
        "{said} What is the job? Jobs: {listed}.", "Choose a job, {either}. {said}",
        "{said} So this is a",
    ),
)  # fmt: skip
