"""Mixture tasks about words: opposites, kinds, lists, and the senses of a word."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.knowledge import MIXTURE_SENTENCES, SENSES
from mergescale.tasks.micro_world.lexicon import (
    CATEGORIES,
    COLORS,
    FOODS,
    SYNONYMS,
)
from mergescale.tasks.micro_world.mixture.mixture_task import (
    Content,
    coin,
    mixture_task,
    options,
    others,
    wording,
)
from mergescale.tasks.micro_world.mixture.scenes import person, sentence
from mergescale.tasks.micro_world.world import WORLD, a, article, join

KINDS = tuple(CATEGORIES)
WORDS = tuple(WORLD.hypernym)
ADJECTIVES = tuple(dict.fromkeys((*SYNONYMS, *WORLD.antonym)))


def _meaning(rng: random.Random) -> Content:
    """The synonym or the opposite of a word among other words."""
    if coin(rng):
        word, answer = rng.choice(tuple(WORLD.antonym.items()))
        relation = "the opposite of"
    else:
        word, answer = rng.sample(rng.choice(tuple(SYNONYMS.items())), 2)
        relation = "the same as"
    wrong = others(rng, [w for w in ADJECTIVES if w != word], answer, 2)
    # The other relation of the word is the best wrong answer.
    tempting = SYNONYMS.get(word) if relation.endswith("of") else WORLD.antonym.get(word)
    if tempting and tempting not in (*wrong, answer):
        wrong[0] = tempting
    slots = {"word": word, "relation": relation}
    return Content(slots, answer, options(rng, answer, wrong))


def _same_meaning(rng: random.Random) -> Content:
    """Two synonyms or two antonyms."""
    yes = coin(rng)
    pairs = tuple((SYNONYMS if yes else WORLD.antonym).items())
    first, second = rng.sample(rng.choice(pairs), 2)
    return Content({"x": first, "y": second}, "yes" if yes else "no", ("yes", "no"))


def _kind_of(rng: random.Random) -> Content:
    word = rng.choice(WORDS)
    answer = WORLD.hypernym[word]
    slots = {"word": word, "thing": a(word)}
    return Content(slots, answer, options(rng, answer, others(rng, KINDS, answer, 2)))


def _is_a_kind(rng: random.Random) -> Content:
    word = rng.choice(WORDS)
    right = WORLD.hypernym[word]
    yes = coin(rng)
    kind = right if yes else rng.choice(others(rng, KINDS, right, 1))
    head = f"{article(kind)} {kind}"
    slots = {"word": a(word), "kind": head, "claim": sentence(f"{a(word)} is {head}")}
    return Content(slots, "yes" if yes else "no", ("yes", "no"))


def _odd_one_out(rng: random.Random) -> Content:
    kind, other = rng.sample([k for k in KINDS if len(CATEGORIES[k]) >= 3], 2)
    answer = rng.choice(CATEGORIES[other])
    choices = options(rng, answer, rng.sample(CATEGORIES[kind], 2))
    return Content({"words": ", ".join(choices)}, answer, choices)


def _same_kind(rng: random.Random) -> Content:
    """Two things of one kind or of two kinds; word senses need the same comparison."""
    kind = rng.choice(KINDS)
    first = rng.choice(CATEGORIES[kind])
    same = coin(rng)
    pool = CATEGORIES[kind] if same else CATEGORIES[others(rng, KINDS, kind, 1)[0]]
    second = others(rng, pool, first, 1)[0]
    return Content({"x": a(first), "y": a(second)}, "yes" if same else "no", ("yes", "no"))


def _things(rng: random.Random, count: int) -> list[str]:
    pool = rng.choice((COLORS, FOODS, tuple(WORLD.people), WORDS, tuple(WORLD.places)))
    return rng.sample(pool, count)


def _lists(rng: random.Random) -> Content:
    """An operation on a list of two to four words."""
    words = _things(rng, rng.choice((2, 3, 4)))
    order, answer = rng.choice(
        (
            ("Say them with and.", join(words)),
            ("Say them backwards.", ", ".join(reversed(words))),
            ("Count them.", ("two", "three", "four")[len(words) - 2]),
            ("Which one is the first?", words[0]),
            ("Which one is the second?", words[1]),
            ("Which one is the last?", words[-1]),
        )
    )
    return Content({"words": ", ".join(words), "order": order}, answer)


def _frames(word: str, sense: int) -> tuple[str, ...]:
    """The sentences of a sense that the mixture uses; WiC has the others."""
    return SENSES[word][sense][1][:MIXTURE_SENTENCES]


def _use(rng: random.Random, word: str, sense: int) -> str:
    """A sentence that uses `word` in its sense number `sense`."""
    return sentence(WORLD.render(rng.choice(_frames(word, sense)), person(rng).name))


def _sense_choice(rng: random.Random) -> Content:
    word, sense = rng.choice(tuple(SENSES)), rng.randrange(2)
    glosses = [SENSES[word][i][0] for i in (0, 1)]
    choices = options(rng, glosses[sense], [glosses[1 - sense]])
    return Content({"word": word, "use": _use(rng, word, sense)}, glosses[sense], choices)


def _sense_check(rng: random.Random) -> Content:
    word, sense, asked = rng.choice(tuple(SENSES)), rng.randrange(2), rng.randrange(2)
    slots = {"word": word, "use": _use(rng, word, sense), "gloss": SENSES[word][asked][0]}
    return Content(slots, "yes" if sense == asked else "no", ("yes", "no"))


def _uses(rng: random.Random, word: str, senses: tuple[int, ...]) -> list[str]:
    """Different sentences with the word in these senses."""
    while True:
        frames = [rng.choice(_frames(word, sense)) for sense in senses]
        if len(set(frames)) == len(frames):
            return [sentence(WORLD.render(frame, person(rng).name)) for frame in frames]


def _sense_match(rng: random.Random) -> Content:
    """Which of two sentences uses the word as the first one does."""
    word, sense = rng.choice(tuple(SENSES)), rng.randrange(2)
    first, like, other = _uses(rng, word, (sense, sense, 1 - sense))
    return Content({"word": word, "use": first}, like, options(rng, like, [other]))


def _sense_both(rng: random.Random) -> Content:
    """Whether a word has a given sense in both of two sentences."""
    word, sense = rng.choice(tuple(SENSES)), rng.randrange(2)
    yes = coin(rng)
    senses = (sense, sense) if yes else rng.choice(((sense, 1 - sense), (1 - sense, sense)))
    first, second = _uses(rng, word, senses)
    slots = {"word": word, "x": first, "y": second, "gloss": SENSES[word][sense][0]}
    return Content(slots, "yes" if yes else "no", ("yes", "no"))


def _sense_glosses(rng: random.Random) -> Content:
    """The senses of a word in two sentences, spelled out: the same gloss twice or two glosses."""
    word = rng.choice(tuple(SENSES))
    senses = (rng.randrange(2), rng.randrange(2))
    first, second = _uses(rng, word, senses)
    slots = {"word": word, "x": first, "y": second}
    glosses = [SENSES[word][sense][0] for sense in senses]
    if senses[0] == senses[1]:
        return Content(slots, f"both mean {glosses[0]}")
    return Content(slots, f"{glosses[0]} then {glosses[1]}")


_DIGITS = ("1", "2", "3", "4", "5")
_NUMBERS = ("one", "two", "three", "four", "five")


def _number(rng: random.Random) -> Content:
    """A number as a digit or as a word, or the next one."""
    n = rng.randrange(5)
    order, answer = rng.choice(
        (
            (f"Write {_DIGITS[n]} as a word.", _NUMBERS[n]),
            (f"Write {_NUMBERS[n]} as a number.", _DIGITS[n]),
            (f"What comes after {_NUMBERS[n - 1]}?", _NUMBERS[n] if n else "one"),
            (f"{' '.join(['star'] * (n + 1))}: how many stars?", _NUMBERS[n]),
        )
    )
    if "after five" in order:
        order, answer = "What comes before two?", "one"
    things = ", ".join(rng.sample(WORDS, 2))
    return Content({"order": order, "words": things}, answer)


TASKS = (
    mixture_task(
        "meaning", "knows synonyms and opposites; copies a choice", _meaning,
        'Choose a word that means {relation} "{word}": {either}.',
        "What is {relation} {word}? Options: {listed}.",
        "Which of these words is {relation} {word}? {lettered}",
    ),
    mixture_task(
        "same_meaning", "tells synonyms from opposites", _same_meaning,
        "Are {x} and {y} the same?", 'Can "{x}" stand for "{y}"? yes or no?',
        wording("The words {x} and {y}: {either}?", yes="the same", no="opposite"),
        wording("Claim: what is {x} is {y}. {either}?", yes="true", no="false"),
    ),
    mixture_task(
        "kind_of", "knows the kind of a thing; copies a choice", _kind_of,
        "What is {thing}: {either}?", "Word: {word}. Class: {either}?",
        "Choose the kind of {thing}. {lettered}",
    ),
    mixture_task(
        "is_a_kind", "answers yes, no, true or false about kinds", _is_a_kind,
        "Is {word} {kind}?", "Question: is {word} {kind}? yes or no? Answer:",
        wording("Claim: {claim} {either}?", yes="true", no="false"),
        wording("{claim} Right or wrong?", yes="right", no="wrong"),
    ),
    mixture_task(
        "odd_one_out", "compares kinds; copies a choice", _odd_one_out,
        "Which word does not belong? {words}", "{words}: find the odd one.",
        "Two of these words are of the same kind. Say the other one. {listed}",
    ),
    mixture_task(
        "same_kind", "compares two things: same or not", _same_kind,
        "Are {x} and {y} the same kind of thing?",
        wording("{x}, {y}: the same kind or different kinds?", yes="the same", no="different"),
        wording("Think of {x} and {y}: both are of one kind. {either}?", yes="true", no="false"),
    ),
    mixture_task(
        "lists", "copies, turns round, counts and finds words of a list", _lists,
        "A list: {words}. {order}", "Here are some words: {words}. {order}",
    ),
    mixture_task(
        "number", "knows numbers as words", _number,
        "Numbers. {order}", "Never mind {words}. {order}", "{order} Answer:",
    ),
    mixture_task(
        "sense_choice", "chooses the sense of a word", _sense_choice,
        '{use} Here, is "{word}" {either}?', "Text: {use} Choose the sense of {word}: {either}.",
        'To what does "{word}" refer: {either}? {use}',
    ),
    mixture_task(
        "sense_check", "checks the sense of a word: yes or no", _sense_check,
        '{use} Is "{word}" {gloss} here?', "{use} Does {word} mean {gloss}? yes or no?",
        wording("Text: {use} Claim: {word} is {gloss}. {either}?", yes="true", no="false"),
    ),
    mixture_task(
        "sense_both", "checks one sense of a word in two sentences: yes or no", _sense_both,
        '{x} {y} Is "{word}" {gloss} both times?',
        "Is {gloss} the sense of {word} in these two sentences? {x} {y} yes or no?",
        wording("Text: {x} {y} Claim: each {word} is {gloss}. {either}?", yes="true", no="false"),
    ),
    mixture_task(
        "sense_match", "compares the senses of a word in sentences", _sense_match,
        "{use} Find another sentence with this {word}. {lettered}",
        'Sentence: {use} In which one has "{word}" this sense? {lettered}',
    ),
    mixture_task(
        "sense_glosses", "says for two sentences whether a word has one sense", _sense_glosses,
        '{x} {y} Explain "{word}" in each.', "Text: {x} {y} Name each sense of {word}.",
        "What does {word} refer to in these sentences? {x} {y}",
    ),
)  # fmt: skip
