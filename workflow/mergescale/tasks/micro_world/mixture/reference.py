"""Mixture tasks about reference: who or what a pronoun, a blank or a description refers to."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.knowledge import MOTIVES
from mergescale.tasks.micro_world.lexicon import PLACES, THINGS
from mergescale.tasks.micro_world.mixture.mixture_task import (
    Content,
    coin,
    mixture_task,
    options,
    wording,
)
from mergescale.tasks.micro_world.mixture.scenes import person, sentence
from mergescale.tasks.micro_world.world import WORLD, plural

YES_NO = ("yes", "no")
# Two things and one sentence, as in the world's THING_MOTIVES, which WSC evaluates, but in other
# sentences: (frame with {x}, {y}; trait of {x}, trait of {y}; sensible pairs).
THING_REASONS = (
    ("we could not put the {x} on the {y}, for it was too", "big", "small",
     (("chair", "cart"), ("tub", "plate"), ("elephant", "bridge"), ("cow", "boat"),
      ("pot", "plate"), ("drum", "chair"), ("bucket", "cup"), ("piano", "bike"))),
    ("the {x} fell on the {y} and broke it, for it was so", "heavy", "weak",
     (("stone", "plate"), ("bus", "gate"), ("hammer", "glass"), ("elephant", "boat"),
      ("bike", "box"), ("cow", "fence"), ("piano", "floor"), ("stone", "lamp"))),
    ("the {x} came home before the {y}, for it was so", "quick", "slow",
     (("horse", "sheep"), ("dog", "hen"), ("cat", "cow"), ("rabbit", "duck"), ("bus", "cart"),
      ("train", "cart"), ("bike", "boat"), ("cat", "hen"))),
    ("milk went from the {x} to the {y}, so now it is", "empty", "full",
     (("tub", "pot"), ("bucket", "glass"), ("pot", "bowl"), ("bowl", "cup"), ("glass", "cup"),
      ("cup", "pot"), ("bucket", "bowl"), ("glass", "pot"))),
)  # fmt: skip
HERD = ("dog", "horse", "hen", "duck", "goat", "cow", "rabbit", "owl")
_TRAITS = ("big", "small", "old", "wet", "white", "black", "hungry", "tired")
_FIRST = ("visited", "called", "helped", "knows", "saw", "asked")
_OWNED_DEEDS = ("had", "found", "washed", "wanted", "carried")
_THEN = ("laughed", "was tired", "went home", "was late", "felt happy", "ate some bread")


def _pronoun_fits(rng: random.Random) -> Content:
    """Whether a noun is a he, a she, an it or a they."""
    animal = rng.choice(HERD)
    nouns = {
        "she": person(rng, "f").name,
        "he": person(rng, "m").name,
        "it": f"the {animal}",
        "they": f"the {plural(animal)}",
    }
    pair = rng.choice((("he", "she"), ("he", "she"), ("it", "they")))
    it, other = rng.sample(pair, 2)
    yes = coin(rng)
    slots = {"noun": nouns[it], "it": it if yes else other}
    return Content(slots, "yes" if yes else "no", YES_NO)


def _woman_and_man(rng: random.Random) -> list[str]:
    pair = [person(rng, "f").name, person(rng, "m").name]
    rng.shuffle(pair)
    return pair


def _by_gender(rng: random.Random) -> tuple[str, str, str, str, str]:
    """Text, pronoun, statement, referent and distractor: "she" is the woman."""
    names = _woman_and_man(rng)
    who, other = rng.sample(names, 2)
    he, deed = WORLD.people[who].he, rng.choice(_THEN)
    text = f"{names[0]} {rng.choice(_FIRST)} {names[1]}. {sentence(f'{he} {deed}')}"
    return text, he, deed, who, other


def _by_number(rng: random.Random) -> tuple[str, str, str, str, str]:
    """The same; "it" is the single thing, "they" are the several."""
    one, many = rng.sample(HERD, 2)
    nouns = [f"the {one}", f"the {plural(many)}"]
    pronouns, be = ("it", "they"), ("was", "were")
    meant, first = rng.randrange(2), rng.randrange(2)
    said = f"{be[meant]} {rng.choice(_TRAITS)}"
    text = f"{nouns[first]} met {nouns[1 - first]} near {rng.choice(tuple(PLACES))}"
    text = f"{sentence(text)} {sentence(f'{pronouns[meant]} {said}')}"
    return text, pronouns[meant], said, nouns[meant], nouns[1 - meant]


def _by_sense(rng: random.Random) -> tuple[str, str, str, str, str]:
    """The same; "it" is the thing for which the reason makes sense."""
    frame, *traits, pairs = rng.choice(THING_REASONS)
    pair = rng.choice(pairs)
    meant = rng.randrange(2)
    text = sentence(f"{frame.format(x=pair[0], y=pair[1])} {traits[meant]}")
    return text, "it", f"was {traits[meant]}", f"the {pair[meant]}", f"the {pair[1 - meant]}"


# Small models learn agreement first, and the sense of a text last.
_PATTERNS = (_by_gender, _by_gender, _by_gender, _by_number, _by_number, _by_sense)


def _pronoun(rng: random.Random) -> tuple[str, str, str, str, str]:
    return rng.choice(_PATTERNS)(rng)


def _pronoun_choice(rng: random.Random) -> Content:
    text, it, said, right, wrong = _pronoun(rng)
    return Content({"text": text, "it": it, "said": said}, right, options(rng, right, [wrong]))


def _pronoun_check(rng: random.Random) -> Content:
    text, it, said, right, wrong = _pronoun(rng)
    yes = coin(rng)
    slots = {"text": text, "it": it, "said": said, "noun": right if yes else wrong}
    return Content(slots, "yes" if yes else "no", YES_NO)


def _motive(rng: random.Random) -> tuple[str, str, str, str]:
    """A deed of a woman and a man, a trait, who has it, and the other person.

    The sense of the deed decides who has it, or the pronouns "her" and "his".
    """
    names = _woman_and_man(rng)
    if coin(rng):
        who, other = rng.sample(names, 2)
        trait = f"{rng.choice(_OWNED_DEEDS)} {WORLD.people[who].his} {rng.choice(THINGS)}"
        return f"{names[0]} {rng.choice(_FIRST)} {names[1]}", trait, who, other
    deed, *traits = rng.choice(MOTIVES)
    which = rng.randrange(2)
    return deed.format(a=names[0], b=names[1]), traits[which], names[which], names[1 - which]


def _who_has_trait(rng: random.Random) -> Content:
    said, trait, who, other = _motive(rng)
    return Content({"said": sentence(said), "trait": trait}, who, options(rng, who, [other]))


def _gap(rng: random.Random) -> Content:
    """A deed and a reason with a blank for a name."""
    said, trait, who, other = _motive(rng)
    return Content({"said": said, "trait": trait}, who, options(rng, who, [other]))


TASKS = (
    mixture_task(
        "pronoun_fits", "knows which pronoun a noun takes", _pronoun_fits,
        'Can "{it}" stand for {noun}?', 'We speak of {noun}. Is "{it}" right? yes or no?',
        wording('Claim: {noun} is a "{it}". {either}?', yes="true", no="false"),
    ),
    mixture_task(
        "pronoun_choice", "finds the person or thing behind a pronoun", _pronoun_choice,
        '{text} By "{it}", do we mean {either}?', "Text: {text} Question: who or what {said}?",
        'Which name or thing does "{it}" stand for? {text}',
        '{text} Who or what is meant by "{it}"?',
        "{text} Choose who or what {said}: {either}.",
    ),
    mixture_task(
        "pronoun_check", "checks the person or thing behind a pronoun", _pronoun_check,
        "{text} Is it {noun} that {said}?",
        '{text} Question: can we put {noun} for "{it}"? yes or no?',
        wording('Text: {text} Claim: "{it}" is {noun}. {either}?', yes="true", no="false"),
        "Do we mean {noun} when we say {it} here? {text}",
    ),
    mixture_task(
        "who_has_trait", "infers which of two people is meant", _who_has_trait,
        "{said} Who {trait}?", "Text: {said} Question: which of them {trait}? Answer:",
        "{said} Was it {either} who {trait}?",
    ),
    mixture_task(
        "gap", "fills a gap with a name", _gap,
        "Say a name for _ in this sentence: {said} because _ {trait}.",
        "{said}, for _ {trait}. Fill in a name: {either}.",
        "{said}, as _ {trait}. Which name fits, {either}?",
        "Who belongs in the gap? {said}, for _ {trait}.",
        "_ {trait}, so {said}. The _ is",
        "Sentence: {said} because _ {trait}. Options: {listed}.",
    ),
)  # fmt: skip
