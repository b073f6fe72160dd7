"""Mixture tasks about entailment: what follows from a text, contradicts it, or is left open."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.lexicon import CATEGORIES, COLORS, MASS_NOUNS, SPOTS, THINGS
from mergescale.tasks.micro_world.mixture.mixture_task import (
    Content,
    coin,
    mixture_task,
    options,
    wording,
)
from mergescale.tasks.micro_world.mixture.scenes import (
    DEEDS,
    OPPOSITE,
    STATES,
    person,
    sentence,
    two_people,
)
from mergescale.tasks.micro_world.world import WORLD, a, article, at

FOLLOWS, AGAINST, OPEN = "follows", "against", "open"
Claims = dict[str, list[str]]


def _of_state(rng: random.Random) -> tuple[str, Claims]:
    """One or two qualities of different owners: a synonym follows, the opposite contradicts.

    The quality of the other one is open: nothing is said about it.
    """
    kind = rng.choice(("person", "person", "thing", "place"))
    words = rng.sample(STATES[kind], 2)
    while WORLD.antonym.get(words[0]) == words[1]:
        words = rng.sample(STATES[kind], 2)
    subjects = _subjects(rng, kind)
    which = rng.randrange(2)
    subject, word, elsewhere = subjects[which], words[which], words[1 - which]
    opposite = OPPOSITE[word]
    claims = {
        FOLLOWS: [f"{subject} is not {opposite}", f"{subject} is {WORLD.synonym.get(word, word)}"],
        AGAINST: [f"{subject} is {opposite}", f"{subject} is not {word}"],
        OPEN: [f"{subject} is {WORLD.synonym.get(elsewhere, elsewhere)}"],
    }
    said = [f"{s} is {w}" for s, w in zip(subjects, words, strict=True)]
    if rng.random() < 0.6:
        return f"{said[0]}. {sentence(said[1], '')}", claims
    return said[which], claims


def _subjects(rng: random.Random, kind: str) -> tuple[str, str]:
    if kind == "person":
        one, two = (p.name for p in two_people(rng))
        whose = rng.choice(("", "", "the friend of ", "the child of "))
        return f"{whose}{one}", f"{whose}{two}"
    if kind == "place":
        one, two = rng.sample(SPOTS, 2)
        return f"the {one}", f"the {two}"
    one, two = (p.name for p in two_people(rng))
    things = rng.sample(THINGS, 2)
    return f"the {things[0]} of {one}", f"the {things[1]} of {two}"


def _of_kind(rng: random.Random) -> tuple[str, Claims]:
    """A thing and its kind: who sold a trout sold a fish."""
    name, spot = person(rng).name, at(rng.choice(SPOTS))
    word = rng.choice([w for w in WORLD.hypernym if w not in MASS_NOUNS])
    kind = WORLD.hypernym[word]
    other = rng.choice([k for k in CATEGORIES if k not in (kind, "drink")])
    deed = rng.choice(("sold", "saw", "took"))
    head, wrong = (f"{name} {deed} {article(k)} {k}" for k in (kind, other))
    thing = rng.choice((a(word), a(f"{rng.choice(COLORS)} {word}")))
    claims = {
        FOLLOWS: [head, f"{head} {spot}"],
        AGAINST: [f"{name} {deed} no {word}", f"{name} did not {DEEDS[deed]} {a(word)}"],
        OPEN: [wrong, f"{wrong} {spot}"],
    }
    return f"{name} {deed} {thing} {spot}", claims


def _claims(rng: random.Random) -> tuple[str, Claims]:
    """A text (with full stops) and claims about it by kind; sometimes of two sentences."""
    text, claims = rng.choice((_of_state, _of_state, _of_kind))(rng)
    return sentence(text), claims


def _slots(text: str, claim: str) -> dict[str, str]:
    return {"text": text, "claim": claim, "said": sentence(claim)}


def _three_way(rng: random.Random) -> Content:
    text, claims = _claims(rng)
    label = rng.choice((FOLLOWS, AGAINST, OPEN))
    return Content(_slots(text, rng.choice(claims[label])), label, (FOLLOWS, AGAINST, OPEN))


def _kind_claim(rng: random.Random) -> Content:
    """A thing of a kind in the text, a kind in the claim."""
    text, claims = _of_kind(rng)
    yes = coin(rng)
    claim = rng.choice(claims[FOLLOWS if yes else OPEN])
    return Content(_slots(sentence(text), claim), "yes" if yes else "no", ("yes", "no"))


def _state_claim(rng: random.Random) -> Content:
    """A quality in the text, its synonym or its opposite in the claim."""
    text, claims = _of_state(rng)
    yes = coin(rng)
    claim = rng.choice(claims[FOLLOWS if yes else AGAINST])
    return Content(_slots(sentence(text), claim), "yes" if yes else "no", ("yes", "no"))


def _agree(rng: random.Random) -> Content:
    text, claims = _claims(rng)
    yes = coin(rng)
    claim = rng.choice(claims[FOLLOWS if yes else AGAINST])
    return Content(_slots(text, claim), "yes" if yes else "no", ("yes", "no"))


def _which_follows(rng: random.Random) -> Content:
    text, claims = _claims(rng)
    right = rng.choice(claims[FOLLOWS])
    wrong = [rng.choice(claims[label]) for label in (AGAINST, OPEN)]
    return Content({"text": text}, right, options(rng, right, wrong[: rng.choice((1, 2))]))


# Not the three labels of ANLI: FLAN, too, asks in several ways.
_KNOWN = {FOLLOWS: "yes", AGAINST: "no", OPEN: "unknown"}
_RIGHT = {FOLLOWS: "right", AGAINST: "wrong", OPEN: "maybe"}

TASKS = (
    mixture_task(
        "three_way", "tells true, false and open claims apart", _three_way,
        wording("Text: {text} Question: is it so that {claim}? Options: {listed}.", **_KNOWN),
        wording("If this is true, what about the claim? {text} {said} {either}?", **_RIGHT),
        wording(
            "{text} Claim: {said} {either}?",
            follows="true", against="false", open="impossible to say",
        ),
        wording("{text} Can we say that {claim}: {either}?", **_RIGHT),
    ),
    mixture_task(
        "kind_claim", "checks what follows by the kind of a thing", _kind_claim,
        "{text} Can we conclude that {claim}?",
        wording("Text: {text} {said} {either}?", yes="true", no="false"),
        wording("{text} {said} Is this right or wrong?", yes="right", no="wrong"),
        "{text} Does {claim} follow from it? yes or no?",
        "Given this text, are we sure that {claim}? {text} yes or no?",
    ),
    mixture_task(
        "state_claim", "checks what follows by synonyms and opposites", _state_claim,
        "{text} So is it true to say that {claim}?",
        wording("If so, {claim}: {either}? {text}", yes="true", no="false"),
        wording("{text} {said} Right or wrong?", yes="right", no="wrong"),
        "Text: {text} Question: can we say that {claim}?",
    ),
    mixture_task(
        "agree", "finds claims that cannot both be true", _agree,
        "{text} {said} Can both be true?",
        wording("Sentences: {text} {said} Do they agree or conflict?", yes="agree", no="conflict"),
        wording("{text} Somebody says that {claim}. Right or wrong?", yes="right", no="wrong"),
    ),
    mixture_task(
        "which_follows", "chooses what follows from a text", _which_follows,
        "{text} What follows from this: {either}?",
        "Given this, which one does follow? {text} {lettered}",
        "Text: {text} True claim? Options: {parted}.",
        "Which claim is true? {text} {lettered}",
    ),
)  # fmt: skip
