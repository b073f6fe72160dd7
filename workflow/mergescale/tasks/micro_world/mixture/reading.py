"""Mixture tasks about questions on texts: siblings of multiple-choice and extractive QA."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.lexicon import ANIMAL_FACTS, DAYS, FEELINGS, PLACES, THINGS, USES
from mergescale.tasks.micro_world.mixture.mixture_task import (
    Content,
    coin,
    mixture_task,
    options,
    others,
    wording,
)
from mergescale.tasks.micro_world.mixture.scenes import (
    DEEDS,
    Scene,
    person,
    scene,
    sentence,
    two_people,
)
from mergescale.tasks.micro_world.world import WORLD, a

# Other rules than those of evaluation: (rule, thing, two cases of {p}, two outcomes).
RULES = (
    ("wind makes a kite fly high", "kite", "{p} has a kite in the wind",
     "{p} has a kite in the house", "high", "low"),
    ("a lamp makes a room bright", "room", "{p} has a room with a lamp",
     "{p} has a room without a lamp", "bright", "dark"),
    ("a long road makes a horse tired", "horse", "{p} has a horse on a long road",
     "{p} has a horse on a short road", "tired", "strong"),
    ("rain makes a river full", "river", "{p} lives by a river in the rain",
     "{p} lives by a river in the sun", "full", "empty"),
    ("time makes bread old", "bread", "{p} has bread of last Monday", "{p} has bread of today",
     "old", "new"),
    ("a key makes a door open", "door", "{p} has a door and a key", "{p} has a door and no key",
     "open", "closed"),
)  # fmt: skip
# What speakers say and how it is told: ("I want {v}", "wants {v}", what is asked, the values).
SAYINGS = (
    ("I come from {v}", "comes from {v}", "where does {p} come from", tuple(PLACES)),
    ("I come on {v}", "comes on {v}", "when does {p} come", DAYS),
    ("I lost {v}", "lost {v}", "what did {p} lose", tuple(a(t) for t in THINGS)),
    ("I need {v}", "needs {v}", "what does {p} need", tuple(a(t) for t in THINGS)),
)


def _talk(rng: random.Random, *, same: bool) -> tuple[str, list[tuple[str, tuple, str]]]:
    """Two turns: the text, and (name, saying, value) of each."""
    names = [p.name for p in two_people(rng)]
    sayings = [rng.choice(SAYINGS)] * 2 if same else rng.sample(SAYINGS, 2)
    first = rng.choice(sayings[0][3])
    second = rng.choice([v for v in sayings[1][3] if v != first])
    turns = list(zip(names, sayings, (first, second), strict=True))
    rng.shuffle(turns)
    text = " ".join(f"{n} said: {sentence(s[0].format(v=v))}" for n, s, v in turns)
    return text, turns


def _who_said(rng: random.Random) -> Content:
    """Which of two speakers said something."""
    text, turns = _talk(rng, same=coin(rng))
    (name, saying, value), (other, _, _) = rng.sample(turns, 2)
    slots = {"text": text, "told": saying[1].format(v=value)}
    return Content(slots, name, options(rng, name, [other]))


def _find_in_talk(rng: random.Random) -> Content:
    """What one of two speakers said."""
    text, turns = _talk(rng, same=rng.random() < 0.3)
    name, saying, value = rng.choice(turns)
    return Content({"text": text, "question": saying[2].format(p=name)}, value)


def _talk_options(rng: random.Random) -> Content:
    """The same with the answers of both speakers and another one."""
    text, turns = _talk(rng, same=coin(rng))
    (name, saying, value), (_, _, other) = rng.sample(turns, 2)
    wrong = [other, rng.choice([v for v in saying[3] if v not in (value, other)])]
    slots = {"text": text, "question": saying[2].format(p=name)}
    return Content(slots, value, options(rng, value, wrong))


def _two_scenes(rng: random.Random) -> tuple[Scene, Scene]:
    while True:
        one, two = scene(rng), scene(rng)
        parts = ("who", "deed", "thing", "spot", "day", "color")
        if all(getattr(one, part) != getattr(two, part) for part in parts):
            return one, two


def _asked(rng: random.Random) -> tuple[str, str, str, str]:
    """A text of two scenes with days, a question, its answer, and that of the other scene."""
    scenes = _two_scenes(rng)
    one, two = rng.sample(scenes, 2)
    name, plain = one.who.name, DEEDS[one.deed]
    question, answer, other = rng.choice(
        (
            (f"on which day did {name} {plain} something", one.day, two.day),
            (f"on which day was the {one.thing} there", one.day, two.day),
            (f"who was there on {one.day}", name, two.who.name),
            (f"what did {name} {plain}", a(one.thing), a(two.thing)),
        )
    )
    text = " ".join(sentence(s.tell(color=False, spot=False, day=True)) for s in scenes)
    return text, question, answer, other


def _find_on_days(rng: random.Random) -> Content:
    text, question, answer, _ = _asked(rng)
    return Content({"text": text, "question": question}, answer)


def _scene_options(rng: random.Random) -> Content:
    text, question, answer, other = _asked(rng)
    return Content({"text": text, "question": question}, answer, options(rng, answer, [other]))


def _rule(rng: random.Random) -> tuple[str, str, list[str], list[str], tuple[str, str]]:
    """Rule, thing, the two people, their cases in a text, and the outcomes."""
    rule, thing, one, two, *outcomes = rng.choice(RULES)
    people = [p.name for p in two_people(rng)]
    cases = [sentence(case.format(p=p)) for case, p in zip((one, two), people, strict=True)]
    return rule, thing, people, cases, (outcomes[0], outcomes[1])


def _rule_outcome(rng: random.Random) -> Content:
    """What a rule says of one case."""
    rule, thing, people, cases, outcomes = _rule(rng)
    which = rng.randrange(2)
    slots = {
        "rule": sentence(rule),
        "case": cases[which],
        "thing": f"the {thing} of {people[which]}",
    }
    return Content(slots, outcomes[which], options(rng, outcomes[which], [outcomes[1 - which]]))


def _rule_owner(rng: random.Random) -> Content:
    """Which of two cases has an outcome."""
    rule, thing, people, cases, outcomes = _rule(rng)
    which = rng.randrange(2)
    text = " ".join(rng.sample(cases, 2))
    slots = {"rule": sentence(rule), "text": text, "asked": f"a {thing} that is {outcomes[which]}"}
    return Content(slots, people[which])


def _tool_use(rng: random.Random) -> Content:
    """What somebody with a tool wants to do: the other direction of what evaluation asks."""
    tool = rng.choice(tuple(USES))
    uses = {name: " ".join(use) for name, use in USES.items()}
    wrong = others(rng, sorted(set(uses.values())), uses[tool], 2)
    slots = {"said": sentence(f"{person(rng).name} takes {a(tool)}"), "tool": a(tool)}
    return Content(slots, uses[tool], options(rng, uses[tool], wrong))


def _feeling_reason(rng: random.Random) -> Content:
    """What happened to somebody who feels so: the other direction of what evaluation asks."""
    name = person(rng).name
    feeling, *wrong = rng.sample(tuple(FEELINGS), 3)
    right, *false = (f"{name} {rng.choice(FEELINGS[f])}" for f in (feeling, *wrong))
    slots = {"said": sentence(f"{name} is {feeling}"), "p": name}
    return Content(slots, right, options(rng, right, false))


def _animal(rng: random.Random) -> Content:
    """How an animal moves, where it lives, or what it eats."""
    animal = rng.choice(tuple(ANIMAL_FACTS))
    number, asked = rng.choice(((1, "where does {x} live"), (2, "what does {x} eat")))
    answer = ANIMAL_FACTS[animal][number]
    wrong = others(rng, sorted({facts[number] for facts in ANIMAL_FACTS.values()}), answer, 3)
    return Content({"question": asked.format(x=a(animal))}, answer, options(rng, answer, wrong))


def _answered(rng: random.Random) -> Content:
    """Whether a sentence answers a question on a scene."""
    one, two = _two_scenes(rng)
    yes = coin(rng)
    name, plain = one.who.name, DEEDS[one.deed]
    question, told, other = rng.choice(
        (
            (f"where did {name} {plain} {a(one.thing)}", one.tell(color=False),
             one.tell(color=True, spot=False)),
            (f"on which day did {name} {plain} {a(one.thing)}", one.tell(spot=False, day=True),
             one.tell(color=False)),
            (f"who {one.deed} {a(one.thing)}", one.tell(color=False, spot=False),
             f"{two.who.name} was {one.at}"),
        )
    )  # fmt: skip
    slots = {"question": sentence(question, "?"), "told": sentence(told if yes else other)}
    return Content(slots, "yes" if yes else "no", ("yes", "no"))


def _home_of(rng: random.Random) -> Content:
    """Who of three people is in a fact: the other direction of recalling it."""
    name = person(rng).name
    own = WORLD.people[name]
    asked, attribute = rng.choice(
        (
            (f"lives in {own.home}", "home"),
            (f"is a {own.job}", "job"),
            (f"has a {own.pet}", "pet"),
            (f"is the best friend of {own.friend}", "friend"),
        )
    )
    value = getattr(own, attribute)
    pool = [p.name for p in WORLD.people.values() if getattr(p, attribute) != value]
    pool = [other for other in pool if other != own.friend] if attribute == "friend" else pool
    return Content({"asked": asked}, name, options(rng, name, rng.sample(pool, 2)))


TASKS = (
    mixture_task(
        "who_said", "finds the speaker", _who_said,
        "{text} Who {told}?", "{text} Which speaker {told}: {either}?",
        "Talk: {text} So {told} is true of",
    ),
    mixture_task(
        "find_in_talk", "finds what a speaker said", _find_in_talk,
        "{text} Now {question}?", "Talk: {text} Please tell me: {question}?",
        "Read the text and tell me: {question}? {text}", "Copy the answer. {text} So {question}?",
        "Find out: {question}? {text}", metric="squad_f1",
    ),
    mixture_task(
        "talk_options", "chooses what a speaker said", _talk_options,
        "{text} So {question}, {either}?", "Talk: {text} Please choose: {question}? {lettered}",
        "Answers: {listed}. Talk: {text} Now {question}?",
    ),
    mixture_task(
        "find_on_days", "finds a detail in a text", _find_on_days,
        "{text} Tell me: {question}?", "Find out: {question}? {text}",
        "Diary: {text} Look up: {question}?",
        "Read the passage. {text} Copy the answer: {question}?",
        metric="squad_f1",
    ),
    mixture_task(
        "scene_options", "chooses a detail of a text", _scene_options,
        "{text} Tell me: {question}, {either}?", "Diary: {text} Choose: {question}? {lettered}",
    ),
    mixture_task(
        "rule_outcome", "applies a rule to a case", _rule_outcome,
        "{rule} {case} So {thing} is {either}?", "We know: {rule} {case} Is {thing} {either}?",
        "{case} Remember that {rule} Is {thing} {either}?",
        "Case: {case} Rule: {rule} So what is true of {thing}: {either}?",
    ),
    mixture_task(
        "rule_owner", "finds the case of a rule", _rule_owner,
        "{rule} {text} Who has {asked}?", "Case: {text} Rule: {rule} Who has {asked}?",
        "Read the rule: {rule} {text} Whose case is that of {asked}?",
        metric="squad_f1",
    ),
    mixture_task(
        "tool_use", "knows what tools are for", _tool_use,
        "{said} Why: {either}?", "With {tool} you can {either}?", "{said} To do what? {lettered}",
    ),
    mixture_task(
        "feeling_reason", "knows why people feel so", _feeling_reason,
        "{said} Why is that: {either}?", "{said} {p} feels so since", "{said} Reasons: {parted}.",
    ),
    mixture_task(
        "animal", "knows how animals live", _animal,
        "Tell me: {question}? {lettered}", "Please say: {question}, {either}?",
    ),
    mixture_task(
        "answered", "tells whether a sentence answers a question", _answered,
        "{question} {told} Do we know it now?",
        wording("Q: {question} A: {told} Is the question settled or open?", yes="settled",
                no="open"),
        "If I ask you this: {question} is this of use? {told}",
    ),
    mixture_task(
        "home_of", "recalls whom a fact is about", _home_of,
        "Who {asked}: {either}?", "One of them {asked}. {lettered}", "Say who {asked}: {listed}?",
    ),
)  # fmt: skip
