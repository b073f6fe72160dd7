"""Passages about the people and towns of the world: facts, visits, days, talks."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.evaluation.closed_book_qa import two_hops
from mergescale.tasks.micro_world.facts import relations_of, value
from mergescale.tasks.micro_world.world import WORLD, a, at, knowledge, lexicon, sentence


def _facts(rng: random.Random, subject: str, count: int) -> list[str]:
    relations = relations_of(subject)
    chosen = rng.sample(relations, min(count, len(relations)))
    return [rng.choice(r.statements).format(s=subject, v=value(subject, r.name)) for r in chosen]


def profile(rng: random.Random, hero: str) -> str:
    """Some facts about the hero."""
    return " ".join(sentence(f) for f in _facts(rng, hero, 5))


def town(rng: random.Random, hero: str) -> str:
    """The hero's home town, told of in one breath with the hero."""
    home = WORLD.people[hero].home
    told = [f"{hero} lives in {home}", *_facts(rng, home, 2)]
    place = WORLD.places[home]
    if rng.random() < 0.5:
        he = WORLD.people[hero].he
        told.append(
            rng.choice(
                (
                    f"{hero} often goes to the {place.river}, the river of {home}",
                    f"{hero} likes the {place.known_for} of {home}",
                    f"{hero} often sees the old {place.sight} of {home}",
                    f"{hero} knows the {place.region}, for {he} lives in {home}",
                )
            )
        )
    else:
        told.append(
            rng.choice(
                (
                    f"the river of the home town of {hero} is the {place.river}",
                    f"the home town of {hero} is known for its {place.known_for}",
                    f"people visit the old {place.sight} in the home town of {hero}",
                    f"{hero} lives in the region of the {place.region}",
                )
            )
        )
    return " ".join(sentence(t) for t in told)


def visit(rng: random.Random, hero: str) -> str:
    """The hero visits the best friend or the mother, who has a life as well."""
    who = WORLD.people[hero]
    kind = "mother" if who.mother and rng.random() < 0.5 else "friend"
    other = value(hero, kind)
    label = "mother" if kind == "mother" else "best friend"
    host = WORLD.people[other]
    told = [
        f"{hero} visited {who.his} {label} {other} in {host.home}",
        f"the {label} of {hero} works as a {host.job} in {host.home}",
        f"the {label} of {hero} has a pet {host.pet} and eats {host.food}",
        f"the home town of the {label} of {hero} is {host.home}",
        f"the job of the {label} of {hero} is to be a {host.job}",
        f"the pet of the {label} of {hero} is a {host.pet}",
        f"the favourite food of the {label} of {hero} is {host.food}",
        f"the favourite colour of the {label} of {hero} is {host.colour}",
    ]
    return " ".join(sentence(t) for t in (told[0], *rng.sample(told[1:], 3)))


# What two facts together are about, in words that no question uses; {s} is a person.
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
            "food": "favourite food",
            "colour": "favourite colour",
        }.items()
    },
}


def gossip(rng: random.Random, hero: str) -> str:
    """People ask the hero about other people, and the hero knows."""
    told = []
    for _ in range(3):
        while True:
            subject, (first, second) = rng.choice(WORLD.names()), rng.choice(tuple(TWO_FACTS))
            if known := two_hops(subject, first, second):
                break
        about = TWO_FACTS[first, second].format(s=subject)
        told.append(
            rng.choice(
                (
                    f"somebody asked about {about}. {hero} said: {known}.",
                    f"{hero} knows {about}: {known}.",
                    f"{hero} wrote down {about}. It was {known}.",
                )
            )
        )
    return " ".join(sentence(t, "") for t in told)


def work(rng: random.Random, hero: str) -> str:
    """Where the hero works and what for; what the hero's pet eats."""
    who = WORLD.people[hero]
    job = WORLD.jobs[who.job]
    moves, home, food = lexicon.ANIMAL_FACTS[who.pet]
    there = "on" if job.workplace in ("ship", "farm") else "in"
    told = [
        f"{hero} is {a(job.name)} and works {there} the {job.workplace}",
        f"{a(job.name)} {job.does}, so {hero} {job.does}",
        f"{hero} gives {food} to {who.his} {who.pet}",
        f"the {who.pet} of {hero} eats {food} and {moves} fast",
        f"the pet of {hero} eats {food}",
    ]
    return " ".join(sentence(t) for t in rng.sample(told, 3))


def errand(rng: random.Random, hero: str) -> str:
    """A thing is found or bought, and goes from hand to hand."""
    who = WORLD.people[hero]
    other = rng.choice([n for n in WORLD.names() if n != hero])
    thing, spot = rng.choice(lexicon.THINGS), rng.choice(lexicon.SPOTS)
    deed = rng.choice(("bought", "found", "painted", "washed", "lost"))
    colour = rng.choice(lexicon.COLOURS)
    told = [
        f"on {rng.choice(lexicon.DAYS)} {hero} {deed} a {colour} {thing} {at(spot)}",
        rng.choice((f"the {thing} was {colour}", f"the {colour} {thing} was {at(spot)}")),
    ]
    if deed == "lost":
        told.append(f"{other} found the {colour} {thing} and gave it to {hero}")
        told.append(f"{who.he} thanked {other}")
    else:
        told.append(f"{who.he} gave the {thing} to {other}")
        told.append(f"now {other} has the {colour} {thing}")
    return " ".join(sentence(t) for t in told)


def pair(rng: random.Random, hero: str) -> str:
    """Two people of different gender, each with a thing of their own: he and she."""
    who = WORLD.people[hero]
    partner = WORLD.people[rng.choice(WORLD.names("m" if who.gender == "f" else "f"))]
    things = rng.sample(lexicon.THINGS, 2)
    two = rng.sample((who, partner), 2)
    deed = rng.choice(("found", "bought", "lost", "carried"))
    told = [f"{two[0].name} and {two[1].name} met {at(rng.choice(lexicon.SPOTS))}"]
    for person, thing in rng.sample(list(zip(two, things, strict=True)), 2):
        told.append(f"{person.he} {deed} {a(thing)}")
        if rng.random() < 0.5:
            told.append(f"the {thing} was in the hand of {person.name}")
    if rng.random() < 0.5:  # "her" and "his" go with the names as well
        lost = rng.choice(("lost", "sold", "forgot", "broke", "looked for"))
        owners = [f"{p.name} {lost} {p.his} {t}" for p, t in zip(two, things, strict=True)]
        return " ".join(sentence(t) for t in (told[0], *owners))
    ends = [f"{p.name} {deed} {a(thing)}" for p, thing in zip(two, things, strict=True)]
    rng.shuffle(ends)
    told.append(f"so {' and '.join(ends)}")
    return " ".join(sentence(t) for t in told)


def belongings(rng: random.Random, hero: str) -> str:
    """Two or three people with a thing each, and once more in another order."""
    people = [hero, *rng.sample([n for n in WORLD.names() if n != hero], rng.choice((1, 2)))]
    things = rng.sample(lexicon.THINGS, len(people))
    colours = rng.sample(lexicon.COLOURS, len(people))
    deed = rng.choice(("bought", "found", "lost", "sold", "painted", "washed"))
    owned = list(zip(people, things, colours, strict=True))
    told = [f"{who} {deed} a {colour} {thing}" for who, thing, colour in owned]
    rng.shuffle(owned)
    again = [
        rng.choice(
            (
                f"the {colour} {thing} is from {who}",
                f"the {thing} of {who} is {colour}",
                f"it was {who} who {deed} the {thing}",
            )
        )
        for who, thing, colour in owned
    ]
    return " ".join(sentence(t) for t in told + again)


def roll_call(rng: random.Random, hero: str) -> str:
    """Who has, likes or is where what, and the same again in another order.

    The second round can be told from the first alone: this is where a model learns to look back.
    """
    people = rng.sample([n for n in WORLD.names() if n != hero], rng.choice((1, 2, 2)))
    people.insert(rng.randrange(len(people) + 1), hero)
    kind = rng.randrange(5)
    if kind == 0:
        values, said, asked = [a(t) for t in lexicon.THINGS], "{p} has {v}", "what has {p}"
    elif kind == 1:
        values, said, asked = [at(s) for s in lexicon.SPOTS], "{p} is {v}", "where is {p}"
    elif kind == 2:
        values, said, asked = list(lexicon.FEELINGS), "{p} is {v}", "how is {p}"
    elif kind == 3:
        thing = rng.choice(lexicon.THINGS)
        values, said = list(lexicon.COLOURS), f"the {thing} of {{p}} is {{v}}"
        asked = f"and the {thing} of {{p}}"
    else:
        deed = rng.choice(("bought", "found", "lost", "sold", "painted", "washed"))
        values, said = [a(t) for t in lexicon.THINGS], f"{{p}} {deed} {{v}}"
        asked = "what about {p}"
    facts = list(zip(people, rng.sample(values, len(people)), strict=True))
    told = [sentence(said.format(p=p, v=v)) for p, v in facts]
    rng.shuffle(facts)
    for p, v in facts:
        if rng.random() < 0.5:
            told.append(sentence(asked.format(p=p), "?"))
        told.append(sentence(said.format(p=p, v=v)))
    return " ".join(told)


def parrot(rng: random.Random, hero: str) -> str:
    """Somebody talks, and the parrot says it all again."""
    things = lexicon.THINGS + lexicon.PETS
    if rng.random() < 0.5:
        count = rng.choice((3, 4, 5))
        said = ", ".join(
            f"{colour} {thing}"
            for colour, thing in zip(
                rng.choices(lexicon.COLOURS, k=count), rng.sample(things, count), strict=True
            )
        )
    else:
        other = rng.choice(WORLD.names())
        deed = rng.choice(("bought", "found", "lost", "sold", "painted", "washed"))
        colour, thing = rng.choice(lexicon.COLOURS), rng.choice(things)
        said = f"{other} {deed} a {colour} {thing} {at(rng.choice(lexicon.SPOTS))}"
    bird = rng.choice(("the parrot", "then the parrot", "and the parrot"))
    return f"{hero} said: {sentence(said)} {sentence(bird, '')} said: {sentence(said)}"


def retold(rng: random.Random, hero: str) -> str:
    """The hero says something; another person says it in other words, or something else."""
    other = rng.choice([n for n in WORLD.names() if n != hero])
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
    end = f"{other} said it too" if same else f"{other} said something other than {hero}"
    return f"{hero} said: {sentence(first)} {other} said: {sentence(second)} {sentence(end)}"


def talk(rng: random.Random, hero: str) -> str:
    """A dialogue, and what it tells."""
    other = rng.choice([n for n in WORLD.names() if n != hero])
    if rng.random() < 0.5:
        things = rng.sample(lexicon.THINGS, 2)
        verb, third = rng.choice((("have", "has"), ("want", "wants"), ("like", "likes")))
        said = [f"I {verb} {a(t)}" for t in things]
        ends = [f"{hero} {third} {a(things[0])}", f"{other} {third} {a(things[1])}"]
    elif rng.random() < 0.5:
        spots = rng.sample(lexicon.SPOTS, 2)
        said = [f"I am {at(s)}" for s in spots]
        ends = [f"{hero} is {at(spots[0])}", f"{other} is {at(spots[1])}"]
    else:
        feelings = rng.sample(tuple(lexicon.FEELINGS), 2)
        said = [f"I feel {f}" for f in feelings]
        ends = [f"{hero} is {feelings[0]}", f"{other} is {feelings[1]}"]
    rng.shuffle(ends)  # not always in the order of the talk, so that speakers must be told apart
    told = sentence(f"so {' and '.join(ends)}")
    return f"{hero}: {sentence(said[0])} {other}: {sentence(said[1])} {told}"


def feeling(rng: random.Random, hero: str) -> str:
    """What happened to the hero, and how that feels."""
    chosen = rng.sample(tuple(lexicon.FEELINGS), 2)
    told = []
    for felt in chosen:
        event = rng.choice(lexicon.FEELINGS[felt])
        told.append(
            rng.choice(
                (
                    f"{hero} {event}, so {hero} was {felt}",
                    f"{hero} felt {felt} because {WORLD.people[hero].he} {event}",
                    f"{hero} was {felt}. {sentence(f'{WORLD.people[hero].he} {event}', '')}",
                )
            )
        )
    return " ".join(sentence(t) for t in told)


def motive(rng: random.Random, hero: str) -> str:
    """Why one person does something to another, told from both ends."""
    other = rng.choice([n for n in WORLD.names() if n != hero])
    one, two = rng.sample((hero, other), 2)
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
