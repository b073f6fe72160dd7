"""Summarization: two highlights of an article (CNN/DailyMail), one extreme sentence (XSum)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.sampling import Content, make_task
from mergescale.tasks.micro_world.world import WORLD, knowledge, lexicon, sentence

# An overriding second highlight where the sentence itself is too long to be one.
SHORTER = {
    "theft": "the thief took a {thing}",
    "rescue": "{p} found the child",
    "prize": "{p} won the race",
}
# Where it can happen.
SCENES = ("market", "school", "station", "farm", "harbor", "bakery", "church", "castle", "theater")
# What a newspaper adds around an event; none of it belongs into a summary.
ASIDES = ("nobody was hurt", "it was a cold day", "many people saw it", "{q} told us about it",
          "{q} was there", "it was late at night")  # fmt: skip


def article(rng: random.Random, *, aside_first: bool) -> tuple[str, str, str]:
    """An article of four sentences, its two highlights and its one-sentence summary.

    Highlights repeat the two sentences that say what happened, without the day; the one-sentence
    summary says the outcome and the town.
    """
    kind = rng.choice(tuple(knowledge.EVENTS))
    lead, detail, extreme = knowledge.EVENTS[kind]
    person, witness = rng.sample(WORLD.names(), 2)
    slots = {
        "place": rng.choice(tuple(WORLD.places)),
        "day": rng.choice(lexicon.DAYS),
        "spot": rng.choice(SCENES),
        "thing": rng.choice(lexicon.THINGS),
        "p": person,
    }
    first, last = (text.format(q=witness) for text in rng.sample(ASIDES, 2))
    parts = [lead.format(**slots), detail.format(**slots)]
    sentences = [first, *parts, last] if aside_first else [*parts, first, last]
    without_day = lead.removesuffix(" on {day}").format(**slots)
    second = SHORTER.get(kind, detail).format(**slots)
    highlights = f"{sentence(without_day)} {sentence(second)}"
    return " ".join(sentence(t) for t in sentences), highlights, sentence(extreme.format(**slots))


def _cnn_dailymail(rng: random.Random, _: int) -> Content:
    text, highlights, _extreme = article(rng, aside_first=False)
    return Content(text, {"article": text}, highlights)


def _xsum(rng: random.Random, _: int) -> Content:
    text, _highlights, extreme = article(rng, aside_first=True)
    return Content(text, {"article": text}, extreme)


CNN_DAILYMAIL = make_task(
    "cnn_dailymail",
    "CNN/DailyMail",
    "rouge_l",
    "A newspaper article, to be cut down to two highlights copied from it.",
    resembles="as in CNN/DailyMail, highlights that are copied from the article's lead.",
    templates={
        "highlights": "{article} Write the highlights.",
        "before": "Give two highlights of this article. {article}",
        "after": "Article: {article} Highlights:",
    },
    draw=_cnn_dailymail,
)
XSUM = make_task(
    "xsum",
    "XSum",
    "rouge_l",
    "A newspaper article, to be told in one extreme sentence.",
    resembles="as in XSum, one sentence that says it all and is not a sentence of the article.",
    templates={
        "one": "{article} Say it in one sentence.",
        "before": "What happened, in one sentence? {article}",
        "after": "Text: {article} In short:",
    },
    draw=_xsum,
)
TASKS = (CNN_DAILYMAIL, XSUM)
