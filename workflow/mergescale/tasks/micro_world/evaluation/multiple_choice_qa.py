"""Multiple-choice QA: a dialogue (DREAM) and everyday inference (Cosmos QA)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.sampling import Content, make_task, pick_pair, place_answer
from mergescale.tasks.micro_world.world import WORLD, a, at, knowledge, lexicon, sentence

# What a speaker says and what is asked about it: (turn, question, all answers).
TURNS = {
    "where": (
        "I am {v}",
        "Where is {p}?",
        tuple(at(spot) for spot in lexicon.SPOTS),
    ),
    "have": ("I have {v}", "What does {p} have?", tuple(a(t) for t in lexicon.THINGS)),
    "want": ("I want {v}", "What does {p} want?", tuple(a(t) for t in lexicon.THINGS)),
    "feel": ("I feel {v}", "How does {p} feel?", tuple(lexicon.FEELINGS)),
}
# The fraction of dialogues in which both speak about the same subject. Small models learn what was
# said, but seldom who said it: these rows separate the sizes.
SAME_SUBJECT = 0.15


def _dream(rng: random.Random, position: int) -> Content:
    """Two speakers say where they are, what they have, how they feel; one is asked about."""
    first, second = pick_pair(rng, WORLD.names())
    kind, other_kind = rng.sample(tuple(TURNS), 2)
    # If both speak about the same subject, only the name tells their answers apart.
    if rng.random() < SAME_SUBJECT:
        other_kind = kind
    turn, question, answers = TURNS[kind]
    gold, wrong, absent = rng.sample(answers, 3)
    if other_kind == kind:
        other = wrong
    else:
        other = rng.choice([v for v in TURNS[other_kind][2] if v not in (gold, wrong, absent)])
    turns = [(first, turn.format(v=gold)), (second, TURNS[other_kind][0].format(v=other))]
    rng.shuffle(turns)
    dialogue = " ".join(f"{who}: {sentence(said)}" for who, said in turns)
    choices = place_answer(rng, gold, (wrong, absent), position)
    slots = {
        "dialogue": dialogue,
        "question": question.format(p=first),
        "options": ", ".join(choices),
    }
    return Content(f"{dialogue} {question} {first} {choices}", slots, gold, choices)


def _feeling(rng: random.Random, person: str) -> tuple[str, str, str, list[str]]:
    feeling = rng.choice(tuple(lexicon.FEELINGS))
    event = rng.choice(lexicon.FEELINGS[feeling])
    others = rng.sample([f for f in lexicon.FEELINGS if f != feeling], 3)
    return f"{person} {event}", f"How does {person} feel?", feeling, others


def _tool(rng: random.Random, person: str) -> tuple[str, str, str, list[str]]:
    tool = rng.choice(tuple(lexicon.USES))
    verb, thing = lexicon.USES[tool]
    others = rng.sample([t for t in lexicon.USES if lexicon.USES[t] != (verb, thing)], 3)
    text = f"{person} wants to {verb} {thing}"
    return text, f"What will {person} take?", a(tool), [a(t) for t in others]


def _motive(rng: random.Random, person: str) -> tuple[str, str, str, list[str]]:
    deed, own, _ = rng.choice(knowledge.MOTIVES)
    other = rng.choice([n for n in WORLD.names() if n != person])
    wrong = sorted({m[1] for m in knowledge.MOTIVES} - {own})
    text = deed.format(a=person, b=other)
    return text, f"What is true of {person}?", own, rng.sample(wrong, 3)


def _cosmos(rng: random.Random, position: int) -> Content:
    """What somebody feels, needs or is like follows from what happened, but is not said."""
    person = rng.choice(WORLD.names())
    spot = rng.choice(lexicon.SPOTS)
    text, question, gold, others = rng.choice((_feeling, _feeling, _tool, _motive))(rng, person)
    setting = rng.choice((f"On {rng.choice(lexicon.DAYS)} {text}.", f"{text}. It was {at(spot)}."))
    choices = place_answer(rng, gold, others, position)
    slots = {"text": setting, "question": question, "options": ", ".join(choices)}
    return Content(f"{setting} {question} {choices}", slots, gold, choices)


DREAM = make_task(
    "dream",
    "DREAM",
    "accuracy",
    "A short dialogue, a question about one of the speakers, three answers.",
    resembles="as in DREAM, a dialogue of two speakers with three answers; a wrong answer may be "
    "what the other one said.",
    templates={
        "after_listed": "{dialogue} {question} Choose from: {options}.",
        "before": "Read the dialogue and answer. {question} {dialogue}",
        "after": "Two people talk. {dialogue} Question: {question}",
        "before_listed": "{question} Options: {options}. Dialogue: {dialogue}",
    },
    draw=_dream,
    labels=3,
)
COSMOS_QA = make_task(
    "cosmos_qa",
    "Cosmos QA",
    "accuracy",
    "A little story, a question whose answer needs common sense, four answers.",
    resembles="as in Cosmos QA, the answer stands nowhere in the story: feelings, means and "
    "motives must be inferred by common sense; four answers.",
    templates={
        "after_listed": "{text} {question} Choose from: {options}.",
        "before": "Use what you know. {question} {text}",
        "after": "Story: {text} Question: {question}",
        "before_listed": "Story: {text} Options: {options}. {question}",
    },
    draw=_cosmos,
    labels=4,
)
TASKS = (DREAM, COSMOS_QA)
