"""Passages of common knowledge: causes, scripts, kinds, senses, opposites, rules, news, reviews."""

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


def cause(rng: random.Random, hero: str) -> str:
    """A cause and its effect, once as "so", once as "because"."""
    told = []
    for before, after in rng.sample(knowledge.CAUSES, 2):
        before, after = WORLD.render(before, hero), WORLD.render(after, hero)
        told.append(
            rng.choice(
                (
                    f"{before}, so {after}",
                    f"{after} because {before}",
                    f"{before}. Then {after}",
                    f"why was it that {after}? It was because {before}",
                )
            )
        )
    return " ".join(sentence(t) for t in told)


def script(rng: random.Random, hero: str) -> str:
    """Something everyday from its first to its last step."""
    goal = rng.choice(tuple(knowledge.SCRIPTS))
    he = WORLD.people[hero].he
    steps = [WORLD.render(s, hero) for s in knowledge.SCRIPTS[goal]]
    if rng.random() < 0.5:
        start = [f"{hero} wanted to {goal}", f"first {he} {steps[0]}"]
    else:
        start = [f"{hero} {steps[0]}"]
    rest = [rng.choice((f"then {he} {s}", f"{he} {s}", f"next {he} {s}")) for s in steps[1:]]
    return " ".join(sentence(t) for t in start + rest)


def kind(rng: random.Random, hero: str) -> str:
    """What kind of thing something is, by name and by use."""
    category = rng.choice(tuple(lexicon.CATEGORIES))
    members = lexicon.CATEGORIES[category]
    one = rng.choice(members)
    head = f"{article(category)} {category}"
    other = rng.choice([m for m in members if m != one])
    told = [f"{a(one)} is {head}, and so is {a(other)}"]
    if category != "drink":
        deed = rng.choice(("bought", "found", "lost"))
        told.append(
            f"{hero} {deed} {a(one)} {at(rng.choice(lexicon.SPOTS))}, so {hero} {deed} {head}"
        )
    else:
        told.append(f"{hero} drank {one}, so {hero} had {head}")
    return " ".join(sentence(t) for t in rng.sample(told, len(told)))


def animal(rng: random.Random, hero: str) -> str:
    """How an animal moves, where it lives, what it eats."""
    name = rng.choice(tuple(lexicon.ANIMAL_FACTS))
    moves, home, food = lexicon.ANIMAL_FACTS[name]
    told = [f"the {name} eats {food}", f"the {name} {moves}", f"the {name} lives in the {home}"]
    return " ".join(sentence(t) for t in rng.sample(told, 3))


def tool(rng: random.Random, hero: str) -> str:
    """What a tool is for."""
    name = rng.choice(tuple(lexicon.USES))
    verb, thing = lexicon.USES[name]
    told = rng.choice(
        (
            [f"{hero} wanted to {verb} {thing}", f"so {hero} took {a(name)}"],
            [f"with {a(name)} you can {verb} {thing}", f"{hero} has {a(name)} to {verb} {thing}"],
        )
    )
    return " ".join(sentence(t) for t in told)


def meaning(rng: random.Random, hero: str) -> str:
    """Words that mean the same and words that exclude each other."""
    told = []
    if rng.random() < 0.5:
        word = rng.choice(tuple(WORLD.antonym))
        other = WORLD.antonym[word]
        told.append(f"what is {word} is not {other}")
    else:
        word = rng.choice(tuple(lexicon.SYNONYMS))
        told.append(f"to say {word} is the same as to say {WORLD.synonym[word]}")
    word = rng.choice(
        [w for w in lexicon.SYNONYMS if w in WORLD.antonym or w in ("sick", "afraid")]
    )
    same = WORLD.synonym[word]
    noun = "door" if word == "closed" else WORLD.people[hero].pet
    told.append(f"{word} and {same} mean the same")
    told.append(f"the {noun} of {hero} is {word}, so it is {same}")
    other = (WORLD.antonym | {"sick": "well", "afraid": "brave"})[word]
    told.append(f"it is {word} and not {other}")
    return " ".join(sentence(t) for t in told)


def sense(rng: random.Random, hero: str) -> str:
    """The senses of a word, each with sentences that mark it."""
    word = rng.choice(tuple(knowledge.SENSES))
    senses = rng.sample(knowledge.SENSES[word], rng.choice((1, 2)))
    told = []
    for gloss, marks in senses:
        told.append(rng.choice((f"a {word} can be {gloss}", f"{word} means {gloss}")))
        told += [WORLD.render(m, hero) for m in rng.sample(marks, 2 if len(senses) == 1 else 1)]
    return " ".join(sentence(t) for t in told)


def thing_motive(rng: random.Random, hero: str) -> str:
    """Two things of which one is too big, too weak, too slow."""
    frame, of_x, of_y, pairs = rng.choice(knowledge.THING_MOTIVES)
    x, y = rng.choice(pairs)
    text = frame.format(x=x, y=y)
    if frame.endswith("it was"):
        return f"{sentence(f'{text} {of_x}')} The {x} was {of_x} and the {y} was {of_y}."
    traits = rng.sample(((x, of_x), (y, of_y)), 2)
    return f"{sentence(f'{text} {traits[0][1]}')} " + " ".join(
        sentence(f"the {noun} was {trait}") for noun, trait in traits
    )


def rule(rng: random.Random, hero: str) -> str:
    """A rule of cause and degree with its two cases."""
    text, thing, *conditions, case, one, two = rng.choice(knowledge.RULES)
    other = rng.choice([n for n in WORLD.names() if n != hero])
    cases = [
        rng.choice(
            (
                f"{condition} {case.format(p=person)}, so the {thing} of {person} is {outcome}",
                f"the {thing} of {person} is {outcome}, for {condition} {case.format(p=person)}",
            )
        )
        for condition, person, outcome in zip(
            conditions, rng.sample((hero, other), 2), (one, two), strict=True
        )
    ]
    return " ".join(sentence(t) for t in (text, *rng.sample(cases, 2)))


def flock(rng: random.Random, hero: str) -> str:
    """It and they."""
    one, many = rng.sample(lexicon.FLOCK, 2)
    deed, other = rng.sample(("ran away", "slept", "drank some water", "ate some grass"), 2)
    told = [f"the {one} saw the {plural(many)}", f"it {deed}", f"they {other}"]
    end = f"so the {one} {deed} and the {plural(many)} {other}"
    return " ".join(sentence(t) for t in (told[0], *rng.sample(told[1:], 2), end))


def news(rng: random.Random, hero: str) -> str:
    """A piece of news with its section of the paper."""
    topic = rng.choice(TOPICS)
    text = headline(rng, topic)
    words = " and ".join(rng.sample(knowledge.NEWS[topic][0], 2))
    return rng.choice(
        (f"{hero} read the {topic} news. {text}", f"{text} News of {words} are {topic} news.",
         f"{text} {hero} likes the {topic} news.")
    )  # fmt: skip


def encyclopedia(rng: random.Random, hero: str) -> str:
    """Two entries of an encyclopedia, each with its class."""
    told = []
    for name in rng.sample(CLASSES, 2):
        said = f"It tells of {article(name)} {name}." if name != "nature" else "It tells of nature."
        told.append(f"{entry(rng, name)} {said}")
    return " ".join(told)


def review(rng: random.Random, hero: str) -> str:
    """What the hero thinks of a film or an app."""
    if rng.random() < 0.5:
        verdict = rng.randrange(2)
        return (
            f"{hero} saw a film. {film_review(rng, verdict)} It was a {VERDICTS[verdict]} review."
        )
    stars = rng.randrange(1, 6)
    word = ("one", "two", "three", "four", "five")[stars - 1]
    return f"{app_review(rng, stars)} {hero} gave it {word} {'star' if stars == 1 else 'stars'}."


def report(rng: random.Random, hero: str) -> str:
    """An article of the newspaper."""
    text, _highlights, extreme = summarization.article(rng, aside_first=rng.random() < 0.5)
    return f"{text} {extreme}" if rng.random() < 0.5 else text


def scene(rng: random.Random, hero: str) -> str:
    """Who does what where."""
    told = []
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
        told.append(
            rng.choice(
                (f"the {agent} {does}{what} {spot}", f"the {agent} can {plain}{what} {spot}")
            )
        )
    return " ".join(sentence(t) for t in told)


WEIGHTS = {
    cause: 6, script: 6, kind: 4, animal: 2, tool: 2, meaning: 4, sense: 6, thing_motive: 4,
    rule: 3, flock: 2, news: 3, encyclopedia: 3, review: 4, report: 2, scene: 3,
}  # fmt: skip
