"""Sentiment analysis: stars of an app (App Reviews) and the verdict on a film (IMDB)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.sampling import Content, make_task
from mergescale.tasks.micro_world.world import lexicon

STARS = ("one", "two", "three", "four", "five")
VERDICTS = ("negative", "positive")


def app_review(rng: random.Random, stars: int) -> str:
    """A review of two or three sentences for an app that deserves 1-5 `stars`."""
    app = rng.choice(lexicon.APPS)
    opinion = f"The {app} app is {rng.choice(lexicon.OPINION_ADJECTIVES[stars])}."
    remarks = [f"{r}." for r in rng.sample(lexicon.APP_REMARKS[stars], rng.choice((1, 2)))]
    review = [opinion, *remarks] if rng.random() < 0.6 else [*remarks[:1], opinion, *remarks[1:]]
    return " ".join(review)


def film_review(rng: random.Random, verdict: int) -> str:
    """A review that finds something on the other side first, then says what counts."""
    good, bad = (lexicon.OPINION_ADJECTIVES[rng.choice(levels)] for levels in ((4, 5), (1, 2)))
    for_it, against = rng.choice(good[:2]), rng.choice(bad)  # a film is not "useful"
    minor, major = rng.sample(lexicon.FILM_PARTS, 2)
    last, first = (for_it, against) if verdict else (against, for_it)
    remark = rng.choice(lexicon.FILM_REMARKS[VERDICTS[verdict]])
    remark = remark[0].upper() + remark[1:]
    return rng.choice(
        (
            f"The {minor} was {first}, but the {major} was {last}. {remark}.",
            f"The {major} of this film was {last}. {remark}.",
            f"{remark}. The {minor} was {first}, but the {major} was {last}.",
        )
    )


def _app_reviews(rng: random.Random, label: int) -> Content:
    review = app_review(rng, label + 1)
    return Content(review, {"review": review}, STARS[label], STARS)


def _imdb(rng: random.Random, label: int) -> Content:
    review = film_review(rng, label)
    return Content(review, {"review": review}, VERDICTS[label], VERDICTS)


APP_REVIEWS = make_task(
    "app_reviews",
    "App Reviews",
    "accuracy",
    "The review of an app: how many stars, one to five?",
    resembles="as in App Reviews, opinions of users of an app with one to five stars.",
    templates={
        "stars": "{review} How many stars is that?",
        "listed": "{review} Give it stars: one, two, three, four or five.",
        "before": "How many stars does this app get? {review}",
        "user": "A user of the app wrote: {review} The number of stars is",
    },
    draw=_app_reviews,
    labels=5,
)
IMDB = make_task(
    "imdb",
    "IMDB",
    "accuracy",
    "The review of a film: is it negative or positive in the end?",
    resembles="as in IMDB, a verdict on a film, often after a word on the other side.",
    templates={
        "review": "{review} Is this review negative or positive?",
        "before": "Is the review of this film negative or positive? {review}",
        "feel": "Review: {review} Say if it is negative or positive.",
        "wrote": "Somebody saw a film and wrote: {review} The review is",
    },
    draw=_imdb,
    labels=2,
)
TASKS = (APP_REVIEWS, IMDB)
