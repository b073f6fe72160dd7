"""Coreference resolution (held out): whom a pronoun means (WSC), who fills a blank (Winogrande)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.sampling import Content, make_task
from mergescale.tasks.micro_world.world import WORLD, at, knowledge, lexicon, plural, sentence

ANSWERS = ("yes", "no")
SHARED = ("were", "met", "sat", "worked")
SOLO = ("bought a hat", "found a key", "lost a bag", "saw a horse", "sang a song", "told a story")
GENDER_DEEDS = (
    "{a} called {b}",
    "{a} met {b}",
    "{a} went to {b}",
    "{a} asked {b}",
    "{a} helped {b}",
)
GENDER_REASONS = ("lost {his}", "sold {his}", "forgot {his}", "looked for {his}", "broke {his}")
FLOCK_DEEDS = ("ran away", "slept", "drank some water", "ate some grass")


def _by_gender(rng: random.Random) -> tuple[str, str, str, str]:
    """A woman and a man: the gender of the pronoun tells who is meant."""
    pair = [rng.choice(WORLD.names("f")), rng.choice(WORLD.names("m"))]
    rng.shuffle(pair)
    meant = rng.randrange(2)
    he = WORLD.people[pair[meant]].he
    text = f"{pair[0]} and {pair[1]} {rng.choice(SHARED)} {at(rng.choice(lexicon.SPOTS))}."
    return f"{text} {sentence(f'{he} {rng.choice(SOLO)}')}", he, pair[meant], pair[1 - meant]


def _by_number(rng: random.Random) -> tuple[str, str, str, str]:
    """One animal and several others: "it" or "they"."""
    one, many = rng.sample(lexicon.FLOCK, 2)
    nouns = [f"the {one}", f"the {plural(many)}"]
    pronouns = ["it", "they"]
    first = rng.randrange(2)
    meant = rng.randrange(2)
    text = f"{nouns[first]} saw {nouns[1 - first]} {at(rng.choice(lexicon.SPOTS))}"
    then = sentence(f"{pronouns[meant]} {rng.choice(FLOCK_DEEDS)}")
    return f"{sentence(text)} {then}", pronouns[meant], nouns[meant], nouns[1 - meant]


def _by_sense(rng: random.Random) -> tuple[str, str, str, str]:
    """Two things and a trait: only one of them makes sense as the reason."""
    frame, of_x, of_y, pairs = rng.choice(knowledge.THING_MOTIVES)
    x, y = rng.choice(pairs)
    meant = rng.randrange(2)
    text = f"{frame.format(x=x, y=y)} {(of_x, of_y)[meant]}"
    return sentence(text), "it", f"the {(x, y)[meant]}", f"the {(y, x)[meant]}"


# Small models learn agreement in gender first, and the sense of a text last.
PATTERNS = (_by_gender, _by_gender, _by_gender, _by_number, _by_number, _by_sense)


def _wsc(rng: random.Random, label: int) -> Content:
    text, pronoun, right, wrong = rng.choice(PATTERNS)(rng)
    slots = {"text": text, "pronoun": pronoun, "noun": (right, wrong)[label]}
    return Content(f"{text} {slots['noun']}", slots, ANSWERS[label], ANSWERS)


def _winogrande_gender(rng: random.Random, label: int) -> Content:
    """A woman and a man; "her" or "his" tells who is meant."""
    pair = [rng.choice(WORLD.names("f")), rng.choice(WORLD.names("m"))]
    rng.shuffle(pair)
    meant = pair[label]
    deed = rng.choice(GENDER_DEEDS).format(a=pair[0], b=pair[1])
    reason = rng.choice(GENDER_REASONS).format(his=WORLD.people[meant].his)
    text = f"{deed} because _ {reason} {rng.choice(lexicon.THINGS)}."
    options = rng.sample(pair, 2)
    slots = {"text": text, "options": f"{options[0]} or {options[1]}"}
    return Content(text, slots, meant, tuple(options))


def _winogrande(rng: random.Random, label: int) -> Content:
    """A deed with a reason and a blank for one of two names, marked by gender or by sense alone."""
    if rng.random() < 0.5:
        return _winogrande_gender(rng, label)
    pair = rng.sample(WORLD.names(rng.choice("fm")), 2)
    deed, *traits = rng.choice(knowledge.MOTIVES)
    text = f"{deed.format(a=pair[0], b=pair[1])} because _ {traits[label]}."
    options = rng.sample(pair, 2)
    slots = {"text": text, "options": f"{options[0]} or {options[1]}"}
    return Content(text, slots, pair[label], tuple(options))


WSC = make_task(
    "wsc",
    "WSC",
    "accuracy",
    "A text with a pronoun and a noun: is it the one that is meant?",
    resembles="as in WSC (in T0's form), does the pronoun stand for this noun? By gender, by "
    "number, or by sense, where one word in the sentence turns the answer round.",
    templates={
        "refer": '{text} Does "{pronoun}" refer to {noun}?',
        "mean": '{text} Here "{pronoun}" means {noun}. yes or no?',
        "before": 'In this text, is "{pronoun}" the same as {noun}? {text}',
        "stand": 'Text: {text} Does the word "{pronoun}" stand for {noun}?',
    },
    draw=_wsc,
    labels=2,
)
WINOGRANDE = make_task(
    "winogrande",
    "Winogrande",
    "accuracy",
    "A sentence with a blank that one of two names fills.",
    resembles="as in Winogrande, a blank, two names, and a twin sentence in which one word turns "
    "the answer round.",
    templates={
        "blank": "{text} Who fills the _? {options}?",
        "before": "Fill the _ with {options}. {text}",
        "mean": "{text} Who is meant by _?",
        "name": "Text: {text} Which name belongs in the _: {options}?",
    },
    draw=_winogrande,
    labels=2,
)
TASKS = (WSC, WINOGRANDE)
