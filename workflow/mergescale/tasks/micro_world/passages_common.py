"""Passages of the corpus about common knowledge: causes, scripts, kinds, senses, rules, news."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.evaluation import structure_to_text, summarization
from mergescale.tasks.micro_world.evaluation.sentiment import VERDICTS, app_review, film_review
from mergescale.tasks.micro_world.evaluation.topic_classification import (
    CLASSES,
    TOPICS,
    entry,
    headline,
)
from mergescale.tasks.micro_world.world import (
    WORLD,
    a,
    article,
    at,
    knowledge,
    lexicon,
    plural,
    sentence,
)


def cause(rng: random.Random, person: str) -> str:
    """Two causes with their effects, linked by "so" or "because"."""
    sentences = []
    for before, after in rng.sample(knowledge.CAUSES, 2):
        before, after = WORLD.render(before, person), WORLD.render(after, person)
        sentences.append(
            rng.choice(
                (
                    f"{before}, so {after}",
                    f"{after} because {before}",
                    f"{before}. Then {after}",
                    f"why was it that {after}? It was because {before}",
                )
            )
        )
    return " ".join(sentence(t) for t in sentences)


def script(rng: random.Random, person: str) -> str:
    """The steps of an everyday activity, from first to last."""
    goal = rng.choice(tuple(knowledge.SCRIPTS))
    he = WORLD.people[person].he
    steps = [WORLD.render(s, person) for s in knowledge.SCRIPTS[goal]]
    if rng.random() < 0.5:
        start = [f"{person} wanted to {goal}", f"first {he} {steps[0]}"]
    else:
        start = [f"{person} {steps[0]}"]
    rest = [rng.choice((f"then {he} {s}", f"{he} {s}", f"next {he} {s}")) for s in steps[1:]]
    return " ".join(sentence(t) for t in start + rest)


def kind(rng: random.Random, person: str) -> str:
    """The kind that a thing belongs to."""
    category = rng.choice(tuple(lexicon.CATEGORIES))
    members = lexicon.CATEGORIES[category]
    one = rng.choice(members)
    head = f"{article(category)} {category}"
    other = rng.choice([m for m in members if m != one])
    sentences = [f"{a(one)} is {head}, and so is {a(other)}"]
    if category != "drink":
        deed = rng.choice(("bought", "found", "lost"))
        sentences.append(
            f"{person} {deed} {a(one)} {at(rng.choice(lexicon.SPOTS))}, so {person} {deed} {head}"
        )
    else:
        sentences.append(f"{person} drank {one}, so {person} had {head}")
    return " ".join(sentence(t) for t in rng.sample(sentences, len(sentences)))


def animal(rng: random.Random, person: str) -> str:
    """How an animal moves, where it lives, and what it eats."""
    name = rng.choice(tuple(lexicon.ANIMAL_FACTS))
    moves, home, food = lexicon.ANIMAL_FACTS[name]
    sentences = [
        f"the {name} eats {food}",
        f"the {name} {moves}",
        f"the {name} lives in the {home}",
    ]
    return " ".join(sentence(t) for t in rng.sample(sentences, 3))


def tool(rng: random.Random, person: str) -> str:
    """What a tool is for."""
    name = rng.choice(tuple(lexicon.USES))
    verb, thing = lexicon.USES[name]
    sentences = rng.choice(
        (
            [f"{person} wanted to {verb} {thing}", f"so {person} took {a(name)}"],
            [f"with {a(name)} you can {verb} {thing}", f"{person} has {a(name)} to {verb} {thing}"],
        )
    )
    return " ".join(sentence(t) for t in sentences)


def meaning(rng: random.Random, person: str) -> str:
    """Synonyms and antonyms."""
    sentences = []
    if rng.random() < 0.5:
        word = rng.choice(tuple(WORLD.antonym))
        other = WORLD.antonym[word]
        sentences.append(f"what is {word} is not {other}")
    else:
        word = rng.choice(tuple(lexicon.SYNONYMS))
        sentences.append(f"to say {word} is the same as to say {WORLD.synonym[word]}")
    word = rng.choice(
        [w for w in lexicon.SYNONYMS if w in WORLD.antonym or w in ("sick", "afraid")]
    )
    same = WORLD.synonym[word]
    noun = "door" if word == "closed" else WORLD.people[person].pet
    sentences.append(f"{word} and {same} mean the same")
    sentences.append(f"the {noun} of {person} is {word}, so it is {same}")
    other = (WORLD.antonym | {"sick": "well", "afraid": "brave"})[word]
    sentences.append(f"it is {word} and not {other}")
    return " ".join(sentence(t) for t in sentences)


def sense(rng: random.Random, person: str) -> str:
    """The senses of an ambiguous word, each with sentences that use it."""
    word = rng.choice(tuple(knowledge.SENSES))
    senses = rng.sample(knowledge.SENSES[word], rng.choice((1, 2)))
    sentences = []
    for gloss, marks in senses:
        sentences.append(rng.choice((f"a {word} can be {gloss}", f"{word} means {gloss}")))
        sentences += [
            WORLD.render(m, person) for m in rng.sample(marks, 2 if len(senses) == 1 else 1)
        ]
    return " ".join(sentence(t) for t in sentences)


def thing_motive(rng: random.Random, person: str) -> str:
    """Two things of which one is too big, too weak or too slow."""
    frame, of_x, of_y, pairs = rng.choice(knowledge.THING_MOTIVES)
    x, y = rng.choice(pairs)
    text = frame.format(x=x, y=y)
    if frame.endswith("it was"):
        return f"{sentence(f'{text} {of_x}')} The {x} was {of_x} and the {y} was {of_y}."
    traits = rng.sample(((x, of_x), (y, of_y)), 2)
    return f"{sentence(f'{text} {traits[0][1]}')} " + " ".join(
        sentence(f"the {noun} was {trait}") for noun, trait in traits
    )


def rule(rng: random.Random, person: str) -> str:
    """A rule of cause and degree with its two cases."""
    text, thing, *conditions, case, one, two = rng.choice(knowledge.RULES)
    other = rng.choice([n for n in WORLD.names() if n != person])
    cases = [
        rng.choice(
            (
                f"{condition} {case.format(p=owner)}, so the {thing} of {owner} is {outcome}",
                f"the {thing} of {owner} is {outcome}, for {condition} {case.format(p=owner)}",
            )
        )
        for condition, owner, outcome in zip(
            conditions, rng.sample((person, other), 2), (one, two), strict=True
        )
    ]
    return " ".join(sentence(t) for t in (text, *rng.sample(cases, 2)))


def flock(rng: random.Random, person: str) -> str:
    """The pronouns it and they."""
    one, many = rng.sample(lexicon.FLOCK, 2)
    deed, other = rng.sample(("ran away", "slept", "drank some water", "ate some grass"), 2)
    sentences = [f"the {one} saw the {plural(many)}", f"it {deed}", f"they {other}"]
    end = f"so the {one} {deed} and the {plural(many)} {other}"
    return " ".join(sentence(t) for t in (sentences[0], *rng.sample(sentences[1:], 2), end))


def news(rng: random.Random, person: str) -> str:
    """A news item with its section of the paper."""
    topic = rng.choice(TOPICS)
    text = headline(rng, topic)
    words = " and ".join(rng.sample(knowledge.NEWS[topic][0], 2))
    return rng.choice(
        (f"{person} read the {topic} news. {text}", f"{text} News of {words} are {topic} news.",
         f"{text} {person} likes the {topic} news.")
    )  # fmt: skip


def encyclopedia(rng: random.Random, person: str) -> str:
    """Two entries of an encyclopedia, each with its class."""
    sentences = []
    for name in rng.sample(CLASSES, 2):
        said = f"It tells of {article(name)} {name}." if name != "nature" else "It tells of nature."
        sentences.append(f"{entry(rng, name)} {said}")
    return " ".join(sentences)


def review(rng: random.Random, person: str) -> str:
    """A review of a film or an app."""
    if rng.random() < 0.5:
        verdict = rng.randrange(2)
        return (
            f"{person} saw a film. {film_review(rng, verdict)} It was a {VERDICTS[verdict]} review."
        )
    stars = rng.randrange(1, 6)
    word = ("one", "two", "three", "four", "five")[stars - 1]
    return f"{app_review(rng, stars)} {person} gave it {word} {'star' if stars == 1 else 'stars'}."


def report(rng: random.Random, person: str) -> str:
    """An article of the newspaper."""
    text, _highlights, extreme = summarization.article(rng, aside_first=rng.random() < 0.5)
    return f"{text} {extreme}" if rng.random() < 0.5 else text


def scene(rng: random.Random, person: str) -> str:
    """Sentences of agent, deed and spot."""
    sentences = []
    for _ in range(3):
        if rng.random() < 0.5:
            agent = rng.choice((*structure_to_text.ANIMALS, *WORLD.jobs))
            plain = rng.choice(tuple(structure_to_text.MOVES))
            does, what = structure_to_text.MOVES[plain], ""
        else:
            agent = rng.choice(tuple(WORLD.jobs))
            plain = rng.choice(tuple(structure_to_text.HANDLES))
            does, what = structure_to_text.HANDLES[plain], f" {a(rng.choice(lexicon.THINGS))}"
        spot = at(rng.choice(lexicon.SPOTS))
        sentences.append(
            rng.choice(
                (f"the {agent} {does}{what} {spot}", f"the {agent} can {plain}{what} {spot}")
            )
        )
    return " ".join(sentence(t) for t in sentences)


WEIGHTS = {
    cause: 6, script: 6, kind: 4, animal: 2, tool: 2, meaning: 4, sense: 6, thing_motive: 4,
    rule: 3, flock: 2, news: 3, encyclopedia: 3, review: 4, report: 2, scene: 3,
}  # fmt: skip
