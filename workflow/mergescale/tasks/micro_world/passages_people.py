"""Passages of the corpus about people and towns: facts, visits, days, conversations."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.evaluation.closed_book_qa import two_hops
from mergescale.tasks.micro_world.facts import relations_of, value
from mergescale.tasks.micro_world.world import WORLD, a, at, knowledge, lexicon, sentence


def _facts(rng: random.Random, subject: str, count: int) -> list[str]:
    relations = relations_of(subject)
    chosen = rng.sample(relations, min(count, len(relations)))
    return [rng.choice(r.statements).format(s=subject, v=value(subject, r.name)) for r in chosen]


def profile(rng: random.Random, person: str) -> str:
    """Some facts about a person."""
    return " ".join(sentence(f) for f in _facts(rng, person, 5))


def town(rng: random.Random, person: str) -> str:
    """Facts about a person's home town, in sentences that name the person too."""
    home = WORLD.people[person].home
    sentences = [f"{person} lives in {home}", *_facts(rng, home, 2)]
    place = WORLD.places[home]
    if rng.random() < 0.5:
        he = WORLD.people[person].he
        sentences.append(
            rng.choice(
                (
                    f"{person} often goes to the {place.river}, the river of {home}",
                    f"{person} likes the {place.known_for} of {home}",
                    f"{person} often sees the old {place.sight} of {home}",
                    f"{person} knows the {place.region}, for {he} lives in {home}",
                )
            )
        )
    else:
        sentences.append(
            rng.choice(
                (
                    f"the river of the home town of {person} is the {place.river}",
                    f"the home town of {person} is known for its {place.known_for}",
                    f"people visit the old {place.sight} in the home town of {person}",
                    f"{person} lives in the region of the {place.region}",
                )
            )
        )
    return " ".join(sentence(t) for t in sentences)


def visit(rng: random.Random, person: str) -> str:
    """A visit to the best friend or the mother, with facts about the host."""
    who = WORLD.people[person]
    kind = "mother" if who.mother and rng.random() < 0.5 else "friend"
    other = value(person, kind)
    label = "mother" if kind == "mother" else "best friend"
    host = WORLD.people[other]
    sentences = [
        f"{person} visited {who.his} {label} {other} in {host.home}",
        f"the {label} of {person} works as a {host.job} in {host.home}",
        f"the {label} of {person} has a pet {host.pet} and eats {host.food}",
        f"the home town of the {label} of {person} is {host.home}",
        f"the job of the {label} of {person} is to be a {host.job}",
        f"the pet of the {label} of {person} is a {host.pet}",
        f"the favorite food of the {label} of {person} is {host.food}",
        f"the favorite color of the {label} of {person} is {host.color}",
    ]
    return " ".join(sentence(t) for t in (sentences[0], *rng.sample(sentences[1:], 3)))


# Two facts in a row, in words that no question uses; {s} is a person.
TWO_FACTS = {
    ("home", "region"): "the region around the home town of {s}",
    ("home", "river"): "the river of the home town of {s}",
    ("home", "known_for"): "the famous thing of the home town of {s}",
    ("home", "sight"): "the old sight of the home town of {s}",
    ("job", "workplace"): "the work place of {s}",
    ("pet", "eats"): "the food of the pet of {s}",
    **{
        (kind, fact): f"the {name} of the {label} of {{s}}"
        for kind, label in (("friend", "best friend"), ("mother", "mother"))
        for fact, name in {
            "home": "home town",
            "job": "job",
            "pet": "pet",
            "food": "favorite food",
            "color": "favorite color",
        }.items()
    },
}


def gossip(rng: random.Random, person: str) -> str:
    """A person knows two facts in a row about other people."""
    sentences = []
    for _ in range(3):
        while True:
            subject, (first, second) = rng.choice(WORLD.names()), rng.choice(tuple(TWO_FACTS))
            if known := two_hops(subject, first, second):
                break
        about = TWO_FACTS[first, second].format(s=subject)
        sentences.append(
            rng.choice(
                (
                    f"somebody asked about {about}. {person} said: {known}.",
                    f"{person} knows {about}: {known}.",
                    f"{person} wrote down {about}. It was {known}.",
                )
            )
        )
    return " ".join(sentence(t, "") for t in sentences)


def work(rng: random.Random, person: str) -> str:
    """Where a person works and why; what the person's pet eats."""
    who = WORLD.people[person]
    job = WORLD.jobs[who.job]
    moves, home, food = lexicon.ANIMAL_FACTS[who.pet]
    there = "on" if job.workplace in ("ship", "farm") else "in"
    sentences = [
        f"{person} is {a(job.name)} and works {there} the {job.workplace}",
        f"{a(job.name)} {job.does}, so {person} {job.does}",
        f"{person} gives {food} to {who.his} {who.pet}",
        f"the {who.pet} of {person} eats {food} and {moves} fast",
        f"the pet of {person} eats {food}",
    ]
    return " ".join(sentence(t) for t in rng.sample(sentences, 3))


def errand(rng: random.Random, person: str) -> str:
    """A thing is found or bought, and handed to another person."""
    who = WORLD.people[person]
    other = rng.choice([n for n in WORLD.names() if n != person])
    thing, spot = rng.choice(lexicon.THINGS), rng.choice(lexicon.SPOTS)
    deed = rng.choice(("bought", "found", "painted", "washed", "lost"))
    color = rng.choice(lexicon.COLORS)
    sentences = [
        f"on {rng.choice(lexicon.DAYS)} {person} {deed} a {color} {thing} {at(spot)}",
        rng.choice((f"the {thing} was {color}", f"the {color} {thing} was {at(spot)}")),
    ]
    if deed == "lost":
        sentences.append(f"{other} found the {color} {thing} and gave it to {person}")
        sentences.append(f"{who.he} thanked {other}")
    else:
        sentences.append(f"{who.he} gave the {thing} to {other}")
        sentences.append(f"now {other} has the {color} {thing}")
    return " ".join(sentence(t) for t in sentences)


def pair(rng: random.Random, person: str) -> str:
    """Two people of different gender, each with a thing: the pronouns he and she."""
    who = WORLD.people[person]
    partner = WORLD.people[rng.choice(WORLD.names("m" if who.gender == "f" else "f"))]
    things = rng.sample(lexicon.THINGS, 2)
    two = rng.sample((who, partner), 2)
    deed = rng.choice(("found", "bought", "lost", "carried"))
    sentences = [f"{two[0].name} and {two[1].name} met {at(rng.choice(lexicon.SPOTS))}"]
    for owner, thing in rng.sample(list(zip(two, things, strict=True)), 2):
        sentences.append(f"{owner.he} {deed} {a(thing)}")
        if rng.random() < 0.5:
            sentences.append(f"the {thing} was in the hand of {owner.name}")
    if rng.random() < 0.5:  # "her" and "his" go with the names as well
        lost = rng.choice(("lost", "sold", "forgot", "broke", "looked for"))
        owners = [f"{p.name} {lost} {p.his} {t}" for p, t in zip(two, things, strict=True)]
        return " ".join(sentence(t) for t in (sentences[0], *owners))
    ends = [f"{p.name} {deed} {a(thing)}" for p, thing in zip(two, things, strict=True)]
    rng.shuffle(ends)
    sentences.append(f"so {' and '.join(ends)}")
    return " ".join(sentence(t) for t in sentences)


def belongings(rng: random.Random, person: str) -> str:
    """Two or three people with a thing each, repeated in another order."""
    people = [person, *rng.sample([n for n in WORLD.names() if n != person], rng.choice((1, 2)))]
    things = rng.sample(lexicon.THINGS, len(people))
    colors = rng.sample(lexicon.COLORS, len(people))
    deed = rng.choice(("bought", "found", "lost", "sold", "painted", "washed"))
    owned = list(zip(people, things, colors, strict=True))
    sentences = [f"{who} {deed} a {color} {thing}" for who, thing, color in owned]
    rng.shuffle(owned)
    again = [
        rng.choice(
            (
                f"the {color} {thing} is from {who}",
                f"the {thing} of {who} is {color}",
                f"it was {who} who {deed} the {thing}",
            )
        )
        for who, thing, color in owned
    ]
    return " ".join(sentence(t) for t in sentences + again)


def roll_call(rng: random.Random, person: str) -> str:
    """Who has, likes or is where what, and the same again in another order.

    The second round can be told from the first alone: this is where a model learns to look back.
    """
    people = rng.sample([n for n in WORLD.names() if n != person], rng.choice((1, 2, 2)))
    people.insert(rng.randrange(len(people) + 1), person)
    kind = rng.randrange(5)
    if kind == 0:
        values, said, asked = [a(t) for t in lexicon.THINGS], "{p} has {v}", "what has {p}"
    elif kind == 1:
        values, said, asked = [at(s) for s in lexicon.SPOTS], "{p} is {v}", "where is {p}"
    elif kind == 2:
        values, said, asked = list(lexicon.FEELINGS), "{p} is {v}", "how is {p}"
    elif kind == 3:
        thing = rng.choice(lexicon.THINGS)
        values, said = list(lexicon.COLORS), f"the {thing} of {{p}} is {{v}}"
        asked = f"and the {thing} of {{p}}"
    else:
        deed = rng.choice(("bought", "found", "lost", "sold", "painted", "washed"))
        values, said = [a(t) for t in lexicon.THINGS], f"{{p}} {deed} {{v}}"
        asked = "what about {p}"
    facts = list(zip(people, rng.sample(values, len(people)), strict=True))
    sentences = [sentence(said.format(p=p, v=v)) for p, v in facts]
    rng.shuffle(facts)
    for p, v in facts:
        if rng.random() < 0.5:
            sentences.append(sentence(asked.format(p=p), "?"))
        sentences.append(sentence(said.format(p=p, v=v)))
    return " ".join(sentences)


def parrot(rng: random.Random, person: str) -> str:
    """A parrot repeats what somebody says."""
    things = lexicon.THINGS + lexicon.PETS
    if rng.random() < 0.5:
        count = rng.choice((3, 4, 5))
        said = ", ".join(
            f"{color} {thing}"
            for color, thing in zip(
                rng.choices(lexicon.COLORS, k=count), rng.sample(things, count), strict=True
            )
        )
    else:
        other = rng.choice(WORLD.names())
        deed = rng.choice(("bought", "found", "lost", "sold", "painted", "washed"))
        color, thing = rng.choice(lexicon.COLORS), rng.choice(things)
        said = f"{other} {deed} a {color} {thing} {at(rng.choice(lexicon.SPOTS))}"
    bird = rng.choice(("the parrot", "then the parrot", "and the parrot"))
    return f"{person} said: {sentence(said)} {sentence(bird, '')} said: {sentence(said)}"


def retold(rng: random.Random, person: str) -> str:
    """A person says something; another one says it in other words, or says something else."""
    other = rng.choice([n for n in WORLD.names() if n != person])
    same = rng.random() < 0.5
    if rng.random() < 0.5:
        subject = rng.choice(WORLD.names())
        one, two = rng.sample(relations_of(subject), 2)
        first = rng.choice(one.statements).format(s=subject, v=value(subject, one.name))
        again = one if same else two
        second = rng.choice(again.statements).format(s=subject, v=value(subject, again.name))
    else:
        subject = rng.choice(WORLD.names())
        deeds = rng.sample(("bought", "found", "lost", "sold", "painted", "washed"), 2)
        things, spots = rng.sample(lexicon.THINGS, 2), rng.sample(lexicon.SPOTS, 2)
        again = 0 if same else 1
        first = f"{subject} {deeds[0]} {a(things[0])} {at(spots[0])}"
        second = f"{at(spots[again])} {subject} {deeds[again]} {a(things[again])}"
        if rng.random() < 0.5:
            first, second = second, first
    end = f"{other} said it too" if same else f"{other} said something other than {person}"
    return f"{person} said: {sentence(first)} {other} said: {sentence(second)} {sentence(end)}"


def talk(rng: random.Random, person: str) -> str:
    """A dialogue and what follows from it."""
    other = rng.choice([n for n in WORLD.names() if n != person])
    if rng.random() < 0.5:
        things = rng.sample(lexicon.THINGS, 2)
        verb, third = rng.choice((("have", "has"), ("want", "wants"), ("like", "likes")))
        said = [f"I {verb} {a(t)}" for t in things]
        ends = [f"{person} {third} {a(things[0])}", f"{other} {third} {a(things[1])}"]
    elif rng.random() < 0.5:
        spots = rng.sample(lexicon.SPOTS, 2)
        said = [f"I am {at(s)}" for s in spots]
        ends = [f"{person} is {at(spots[0])}", f"{other} is {at(spots[1])}"]
    else:
        feelings = rng.sample(tuple(lexicon.FEELINGS), 2)
        said = [f"I feel {f}" for f in feelings]
        ends = [f"{person} is {feelings[0]}", f"{other} is {feelings[1]}"]
    rng.shuffle(ends)  # not always in the order of the talk, so that speakers must be told apart
    sentences = sentence(f"so {' and '.join(ends)}")
    return f"{person}: {sentence(said[0])} {other}: {sentence(said[1])} {sentences}"


def feeling(rng: random.Random, person: str) -> str:
    """An event and the feeling that it causes."""
    chosen = rng.sample(tuple(lexicon.FEELINGS), 2)
    sentences = []
    for felt in chosen:
        event = rng.choice(lexicon.FEELINGS[felt])
        sentences.append(
            rng.choice(
                (
                    f"{person} {event}, so {person} was {felt}",
                    f"{person} felt {felt} because {WORLD.people[person].he} {event}",
                    f"{person} was {felt}. {sentence(f'{WORLD.people[person].he} {event}', '')}",
                )
            )
        )
    return " ".join(sentence(t) for t in sentences)


def motive(rng: random.Random, person: str) -> str:
    """Why one person does something to another, from either person's side."""
    other = rng.choice([n for n in WORLD.names() if n != person])
    one, two = rng.sample((person, other), 2)
    deed, of_one, of_two = rng.choice(knowledge.MOTIVES)
    deed = deed.format(a=one, b=two)
    return rng.choice(
        (
            f"{one} {of_one} and {two} {of_two}. So {deed}.",
            f"{deed} because {two} {of_two}. {one} {of_one}.",
            f"{deed} because {one} {of_one}. {two} {of_two}.",
            f"{two} {of_two}, so {deed}. {one} {of_one}.",
        )
    )


WEIGHTS = {
    profile: 9, town: 8, visit: 8, gossip: 12, work: 4, errand: 4, pair: 4, belongings: 3,
    roll_call: 6, parrot: 8, retold: 8, talk: 6, feeling: 3, motive: 6,
}  # fmt: skip
