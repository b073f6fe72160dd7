"""Natural language inference (held out): three-way with a distractor (ANLI), two-way (RTE)."""

from __future__ import annotations

import random

from mergescale.tasks.micro_world.sampling import Content, make_task, pick_pair
from mergescale.tasks.micro_world.world import WORLD, a, at, lexicon, sentence

RTE_ANSWERS = ("yes", "no")
ANLI_ANSWERS = ("yes", "no", "maybe")
MEMBERS = tuple(
    m for kind in lexicon.CATEGORIES.values() for m in kind if m not in lexicon.MASS_NOUNS
)
# Adjectives that have both a synonym and an opposite, so that each answer is one word away.
TRAITS = ("big", "small", "happy", "sad", "fast", "sick", "afraid")
OPPOSITES = WORLD.antonym | {"sick": "well", "afraid": "brave"}
# How often a claim that may be true repeats the other animal's trait: as in ANLI, made to mislead.
MISLEADING = 0.3
OWNED = ("dog", "cat", "horse", "goat", "rabbit", "parrot")


def _rte(rng: random.Random, label: int) -> Content:
    """What somebody saw where; the hypothesis is more general, or names another kind or spot."""
    person, spot = rng.choice(WORLD.names()), rng.choice(lexicon.SPOTS)
    if rng.random() < 0.4:
        return _rte_trait(rng, label, person)
    thing = rng.choice(MEMBERS)
    kind = WORLD.hypernym[thing]
    color = rng.choice(lexicon.COLORS)
    verb = rng.choice(("found", "bought", "lost"))
    premise = f"{person} {verb} a {color} {thing} {at(spot)}"
    if label == 0:
        hypothesis = f"{person} {verb} {a(kind) if kind != 'fish' else 'a fish'}"
    else:
        other = rng.choice([k for k in lexicon.CATEGORIES if k not in (kind, "drink")])
        hypothesis = f"{person} {verb} {a(other) if other != 'fish' else 'a fish'}"
    if rng.random() < 0.5:
        hypothesis += f" {at(spot)}"
    slots = {"premise": sentence(premise), "hypothesis": sentence(hypothesis), "claim": hypothesis}
    return Content(f"{premise} {hypothesis}", slots, RTE_ANSWERS[label], RTE_ANSWERS)


def _rte_trait(rng: random.Random, label: int, person: str) -> Content:
    """What a pet is like; the hypothesis says it in another word, or says the opposite."""
    trait = rng.choice(TRAITS)
    said = (WORLD.synonym[trait], OPPOSITES[trait])[label]
    subject = f"the {rng.choice(OWNED)} of {person}"
    place = rng.choice((at(rng.choice(lexicon.SPOTS)), f"in {rng.choice(tuple(WORLD.places))}"))
    premise, hypothesis = f"{subject} was {trait} {place}", f"{subject} was {said}"
    slots = {"premise": sentence(premise), "hypothesis": sentence(hypothesis), "claim": hypothesis}
    return Content(f"{premise} {hypothesis}", slots, RTE_ANSWERS[label], RTE_ANSWERS)


def _anli(rng: random.Random, label: int) -> Content:
    """Two animals with a trait each; the hypothesis keeps, turns round or changes one trait."""
    owners = pick_pair(rng, WORLD.names())
    animals = rng.sample(OWNED, 2)
    traits = _unrelated(rng)
    premise = " ".join(
        sentence(f"the {animal} of {owner} is {trait}")
        for animal, owner, trait in zip(animals, owners, traits, strict=True)
    )
    which = rng.randrange(2)
    trait = traits[which]
    # Some claims that may or may not be true take up what is said of the other animal.
    trait_used = traits[1 - which] if rng.random() < MISLEADING else _neither(rng, traits)
    said = {
        "yes": WORLD.synonym[trait],
        "no": OPPOSITES[trait],
        "maybe": WORLD.synonym[trait_used],
    }[ANLI_ANSWERS[label]]
    subject = f"the {rng.choice((animals[which], 'animal'))} of {owners[which]}"
    hypothesis = f"{subject} is {said}"
    slots = {"premise": premise, "hypothesis": sentence(hypothesis), "claim": hypothesis}
    return Content(f"{premise} {hypothesis}", slots, ANLI_ANSWERS[label], ANLI_ANSWERS)


def _neither(rng: random.Random, traits: tuple[str, ...]) -> str:
    """A trait that neither follows from nor excludes any of `traits`."""
    known = {*traits, *(OPPOSITES[t] for t in traits)}
    return rng.choice([t for t in TRAITS if t not in known])


def _unrelated(rng: random.Random) -> tuple[str, str]:
    """Two traits of which neither says anything about the other."""
    first = rng.choice(TRAITS)
    return first, _neither(rng, (first,))


ANLI = make_task(
    "anli",
    "ANLI",
    "accuracy",
    "Premise with a distractor and hypothesis: yes, no or maybe?",
    resembles="as in ANLI, three answers and a premise built to mislead: the hypothesis at times "
    "repeats what is true of the other animal.",
    templates={
        "follow": "{premise} Does it follow that {claim}? yes, no or maybe?",
        "true": "{premise} Is it true that {claim}?",
        "given": "Given: {premise} Claim: {hypothesis} Is the claim true? yes, no or maybe?",
        "before": "Claim: {hypothesis} Is it true if this is true? {premise}",
    },
    draw=_anli,
    labels=3,
)
RTE = make_task(
    "rte",
    "RTE",
    "accuracy",
    "Premise and hypothesis: does the one follow from the other?",
    resembles="as in RTE, two answers; entailment by a more general word or by a synonym.",
    templates={
        "follow": "{premise} Does it follow that {claim}? yes or no?",
        "true": "{premise} Is it true that {claim}?",
        "given": "Given: {premise} Claim: {hypothesis} Is the claim true?",
        "before": "Claim: {hypothesis} Is it true if this is true? {premise}",
    },
    draw=_rte,
    labels=2,
)
TASKS = (ANLI, RTE)
