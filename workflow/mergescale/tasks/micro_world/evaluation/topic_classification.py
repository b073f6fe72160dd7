"""Topic classification: news in four sections (AG News) and encyclopedia entries (DBPedia)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.sampling import Content, make_task
from mergescale.tasks.micro_world.world import WORLD, join, knowledge, lexicon, sentence

TOPICS = tuple(knowledge.NEWS)
CLASSES = tuple(knowledge.ONTOLOGY)
# Made-up titles: "Red Tower", "Old Star".
TITLE_FIRST = ("Red", "Blue", "Green", "White", "Black", "Old", "New", "Big")
TITLE_LAST = ("Star", "Bell", "Rose", "Stone", "Moon", "Owl", "Wave", "Horse")


def headline(rng: random.Random, topic: str) -> str:
    """A short news item of a topic: two sentences from one town."""
    frames = rng.sample(knowledge.NEWS[topic][1], 2)
    place = rng.choice(tuple(WORLD.places))
    person = rng.choice(WORLD.names())
    number = rng.choice(lexicon.NUMBERS)
    return " ".join(sentence(f.format(place=place, p=person, n=number)) for f in frames)


def entry(rng: random.Random, kind: str) -> str:
    """The first sentence of an encyclopedia entry about something of one of the 14 classes."""
    animal = rng.choice([x for x in lexicon.ANIMAL_FACTS if x != "parrot"])
    frame = rng.choice(knowledge.ONTOLOGY[kind])
    return sentence(
        frame.format(
            title=f"{rng.choice(TITLE_FIRST)} {rng.choice(TITLE_LAST)}",
            place=rng.choice(tuple(WORLD.places)),
            region=rng.choice(lexicon.REGIONS),
            p=rng.choice(WORLD.names()),
            s=rng.choice(lexicon.SURNAMES),
            n=rng.choice(lexicon.NUMBERS),
            job=rng.choice(tuple(WORLD.jobs)),
            thing=rng.choice(lexicon.GOODS),
            w=rng.choice(lexicon.COLORS),
            animal=animal,
            food=lexicon.ANIMAL_FACTS[animal][2],
            home=lexicon.ANIMAL_FACTS[animal][1],
            flower=rng.choice(lexicon.CATEGORIES["flower"]),
        )
    )


def _ag_news(rng: random.Random, label: int) -> Content:
    news = headline(rng, TOPICS[label])
    return Content(news, {"news": news}, TOPICS[label], TOPICS)


def _dbpedia(rng: random.Random, label: int) -> Content:
    text = entry(rng, CLASSES[label])
    return Content(text, {"entry": text, "options": join(CLASSES, "or")}, CLASSES[label], CLASSES)


AG_NEWS = make_task(
    "ag_news",
    "AG News",
    "accuracy",
    "A piece of news: world, sports, business or science?",
    resembles="as in AG News, two sentences of news from one of four sections of the paper.",
    templates={
        "listed": "{news} Is this news of world, sports, business or science?",
        "before": "What is the topic of this news? {news}",
        "section": "In which part of the paper would you read this? {news}",
        "after": "News: {news} Topic:",
    },
    draw=_ag_news,
    labels=4,
)
DBPEDIA = make_task(
    "dbpedia",
    "DBPedia",
    "accuracy",
    "The first sentence of an encyclopedia entry: which of 14 classes of things is it about?",
    resembles="as in DBPedia, the first sentence of an encyclopedia entry, from one of 14 "
    "classes; titles tell nothing about the class.",
    templates={
        "listed": "{entry} Choose from: {options}.",
        "kind": "{entry} What kind of thing is this about?",
        "before": "Which kind of thing does the text tell of? {entry}",
        "class": "Text: {entry} Class:",
    },
    draw=_dbpedia,
    labels=14,
)
TASKS = (AG_NEWS, DBPEDIA)
