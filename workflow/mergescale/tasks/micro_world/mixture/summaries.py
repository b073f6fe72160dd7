"""Mixture tasks about what counts in a text: siblings of summarization on other events."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.lexicon import DAYS, SPOTS, THINGS
from mergescale.tasks.micro_world.mixture.mixture_task import Content, mixture_task
from mergescale.tasks.micro_world.mixture.scenes import (
    Scene,
    person,
    scene,
    sentence,
    two_people,
)
from mergescale.tasks.micro_world.world import WORLD, a, at

# Sentences in which nothing happens.
ASIDES = (
    "the sun was hot", "everybody was at home", "the sky was blue", "the wind was cold",
    "it was early", "the day was long", "nobody said a word", "the grass was wet",
)  # fmt: skip
# name: (what came, what happened then, both in one sentence); evaluation has other events.
INCIDENTS = {
    "snow": ("snow fell on {place} this {day}", "children built a snowman {at}",
             "children of {place} built a snowman {at}"),
    "song": ("a singer went to {place} this {day}", "{p} heard a song {at}",
             "{p} heard a singer in {place}"),
    "market": ("there were many shops in {place} this {day}", "{p} sold {thing} {at}",
               "{p} sold {thing} in {place}"),
    "hole": ("a cart fell into a hole in {place} this {day}", "the horse ran away {at}",
             "a horse of {place} ran away from its cart"),
    "school": ("a school opened in {place} this {day}", "{p} learned to read {at}",
               "{p} learned to read in the school of {place}"),
    "boat": ("a boat sank near {place} this {day}", "{p} swam home with {thing}",
             "{p} swam home from a boat near {place}"),
    "bird": ("an owl flew over {place} this {day}", "it took {thing} from {p} {at}",
             "an owl took {thing} from {p} in {place}"),
    "play": ("the school of {place} gave a play this {day}", "{p} was the king {at}",
             "{p} was the king in a play in {place}"),
}  # fmt: skip
_SUBJECT_LINES = {"lost": "a lost {x}", "found": "a {x} that was found", "bought": "a new {x}",
                  "sold": "the end of a {x}"}  # fmt: skip


def _incident(rng: random.Random) -> tuple[str, str, str, str, str]:
    """Name, place, first and second sentence, and both in one; all without full stops."""
    name = rng.choice(tuple(INCIDENTS))
    slots = {
        "place": rng.choice(tuple(WORLD.places)),
        "day": rng.choice(DAYS),
        "at": at(rng.choice(SPOTS)),
        "thing": a(rng.choice(THINGS)),
        "p": person(rng).name,
    }
    first, second, both = (text.format(**slots) for text in INCIDENTS[name])
    return name, slots["place"], first, second, both


def _story(rng: random.Random, first: str, second: str) -> str:
    parts = [first, second]
    if rng.random() < 0.7:
        parts.insert(rng.randrange(3), rng.choice(ASIDES))
    return " ".join(sentence(part) for part in parts)


def _title(rng: random.Random) -> Content:
    name, place, first, second, _ = _incident(rng)
    return Content({"text": _story(rng, first, second)}, f"{name} in {place}")


def _gist(rng: random.Random) -> Content:
    _, _, first, second, both = _incident(rng)
    return Content({"text": _story(rng, first, second)}, sentence(both))


def _main_points(rng: random.Random) -> Content:
    """The two sentences in which something happens, without the day."""
    _, _, first, second, _ = _incident(rng)
    short = first.rsplit(" this ", 1)[0]
    return Content({"text": _story(rng, first, second)}, f"{sentence(short)} {sentence(second)}")


def _shorten(rng: random.Random) -> Content:
    """A sentence with details among others in which nothing happens; the bare deed."""
    one: Scene = scene(rng)
    parts = [one.tell(day=True), *rng.sample(ASIDES, rng.choice((1, 2)))]
    rng.shuffle(parts)
    bare = one.tell(color=False, spot=False)
    return Content({"text": " ".join(sentence(part) for part in parts)}, sentence(bare))


def _talk(rng: random.Random) -> Content:
    """What two speakers say, told in one sentence."""
    one, two = (p.name for p in two_people(rng))
    said = rng.sample(
        (
            ("I want {x}", "wants {x}"),
            ("I have {x}", "has {x}"),
            ("I lost {x}", "lost {x}"),
            ("I see {x}", "sees {x}"),
        ),
        2,
    )
    things = [a(thing) for thing in rng.sample(THINGS, 2)]
    turns = " ".join(
        f"{name}: {sentence(turn[0].format(x=thing))}"
        for name, turn, thing in zip((one, two), said, things, strict=True)
    )
    told = " and ".join(
        f"{name} {turn[1].format(x=thing)}"
        for name, turn, thing in zip((one, two), said, things, strict=True)
    )
    return Content({"text": turns}, sentence(told))


def _subject_line(rng: random.Random) -> Content:
    """The subject of a letter in a few words."""
    to, own = two_people(rng)
    deed = rng.choice(tuple(_SUBJECT_LINES))
    thing = rng.choice(THINGS)
    text = f"I {deed} {a(thing)} {at(rng.choice(SPOTS))}"
    letter = f"Dear {to.name}, {text}. {sentence(rng.choice(ASIDES))} Your {own.name}"
    return Content({"text": letter}, _SUBJECT_LINES[deed].format(x=thing))


def _copy_sentence(rng: random.Random) -> Content:
    """One sentence of a text, by its place."""
    parts = [sentence(scene(rng).tell(color=False)) for _ in range(2)]
    parts.insert(rng.randrange(3), sentence(rng.choice(ASIDES)))
    place, which = rng.choice((("first", 0), ("second", 1), ("last", 2)))
    return Content({"text": " ".join(parts), "place": place}, parts[which])


TASKS = (
    mixture_task(
        "title", "finds a title", _title,
        "Story: {text} Title:", "Give this story a title of three words. {text}",
        "Find a title for the article. {text}", "Write a title: {text}",
        metric="rouge_l",
    ),
    mixture_task(
        "gist", "tells a story in one sentence", _gist,
        "{text} What is the story about?", "Tell this story in a few words. {text}",
        "Article: {text} Summary:", "Write a summary of this text. {text}",
        "{text} All of it in one line:", metric="rouge_l",
    ),
    mixture_task(
        "main_points", "finds what counts in a story", _main_points,
        "{text} The two main points are:", "Leave out what does not count. {text}",
        "Highlights of this story, please. {text}",
        "Read the story and write two highlights: {text}",
        "Which two things happened? {text}", metric="rouge_l",
    ),
    mixture_task(
        "shorten", "leaves out details", _shorten,
        "{text} Make it short.", "Only the deed, please. {text}", "Long: {text} Short:",
        "{text} In short, what happened?",
        metric="rouge_l",
    ),
    mixture_task(
        "talk", "tells a talk in one sentence", _talk,
        "{text} Tell what they said.", "Make one line of this talk. {text}", metric="rouge_l",
    ),
    mixture_task(
        "subject_line", "finds the subject of a letter", _subject_line,
        "{text} Subject line:", "Find a subject for this letter. {text}", metric="rouge_l",
    ),
    mixture_task(
        "copy_sentence", "copies a sentence of a text", _copy_sentence,
        "{text} Copy the {place} sentence.", "Which sentence is the {place} one? {text}",
        metric="rouge_l",
    ),
)  # fmt: skip
