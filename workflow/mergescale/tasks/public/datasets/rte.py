"""RTE (hub: super_glue, rte): does a sentence follow from a short text? Test labels are hidden."""

from __future__ import annotations

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template

DATASET = Dataset(
    name="rte",
    title="RTE",
    kind="rank",
    metric="accuracy",
    hub=Hub("aps/super_glue", "rte"),
    promptsource="super_glue/rte",
    folder="super_glue_rte",
    describe="A short text and a sentence: does the sentence follow from the text?",
    columns={"premise": TEXT, "hypothesis": TEXT, "label": WHOLE},
    key_columns=("premise", "hypothesis"),
    group_by=("premise",),
    label_names=("entailment", "not_entailment"),
    templates=(
        Template(
            "claim",
            "{premise}\nClaim: {hypothesis}\nDoes the text above back this claim?",
            ("Yes", "No"),
        ),
        Template(
            "must_hold",
            "Text: {premise}\nSentence: {hypothesis}\n"
            "If the text is right, must the sentence be right too?",
            ("Yes", "No"),
        ),
        Template(
            "reader",
            'After reading "{premise}", a reader says: "{hypothesis}"\n'
            "Can the reader know this from the text alone?",
            ("Yes", "No"),
        ),
        Template(
            "supported",
            "{premise}\nStatement: {hypothesis}\nGiven the text, this statement is",
            ("supported", "not supported"),
        ),
    ),
)
