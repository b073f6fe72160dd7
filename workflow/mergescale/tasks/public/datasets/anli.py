"""ANLI (hub: anli): entailment in three rounds, each written against a stronger model."""

from __future__ import annotations

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template

ROUNDS = ("r1", "r2", "r3")
DATASET = Dataset(
    name="anli",
    title="ANLI",
    describe="A short text and a sentence: does the sentence follow, may it be, or can it not be?",
    kind="rank",
    metric="accuracy",
    hub=Hub(
        "facebook/anli",
        "plain_text",
        splits={
            split: tuple(f"{name}_{number}" for number in ROUNDS)
            for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
        },
    ),
    folder="anli",
    promptsource="anli",
    columns={"premise": TEXT, "hypothesis": TEXT, "label": WHOLE, "round": TEXT},
    key_columns=("premise", "hypothesis"),
    strata="round",
    label_names=("entailment", "neutral", "contradiction"),
    templates=(
        Template(
            "follows",
            "{premise}\nClaim: {hypothesis}\nDoes the claim follow from the text above?",
            ("Yes", "Maybe", "No"),
        ),
        Template(
            "known",
            "A reader knows only this: {premise}\nSomebody says: {hypothesis}\n"
            "To the reader, what was said is",
            ("certain", "possible", "impossible"),
        ),
        Template(
            "true",
            "Take this as given: {premise}\nThen is this true, open or false? {hypothesis}",
            ("true", "open", "false"),
        ),
    ),
)
