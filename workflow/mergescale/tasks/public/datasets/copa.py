"""COPA (hub: super_glue, copa): the likelier cause or effect of an event. Test labels are -1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template

# The column `question` as a question and as the word that joins the two halves of a sentence.
QUESTIONS = {"cause": "Why did this happen?", "effect": "What happened because of this?"}
JOINTS = {"cause": "because", "effect": "so"}


def _fields(texts: Mapping[str, Any]) -> dict[str, str]:
    asked = texts["question"]
    if asked not in QUESTIONS:
        raise ValueError(
            f"column 'question': {asked!r} is unknown; use one of {', '.join(QUESTIONS)}"
        )
    return {
        **texts,
        "question": QUESTIONS[asked],
        "asked": asked,
        "joint": JOINTS[asked],
        "event": texts["premise"].rstrip(".!"),
        "clause1": _inside(texts["choice1"]),
        "clause2": _inside(texts["choice2"]),
    }


def _inside(sentence: str) -> str:
    """A sentence as it stands after a joint: it begins small, but for `I`."""
    first = sentence.split()[0]
    if first == "I" or first.startswith("I'"):
        return sentence
    return sentence[0].lower() + sentence[1:]


DATASET = Dataset(
    name="copa",
    title="COPA",
    kind="rank",
    metric="accuracy",
    hub=Hub("aps/super_glue", "copa"),
    promptsource="super_glue/copa",
    folder="super_glue_copa",
    describe="An event and two sentences: which one is its likelier cause or effect?",
    columns={"premise": TEXT, "choice1": TEXT, "choice2": TEXT, "question": TEXT, "label": WHOLE},
    key_columns=("premise", "choice1", "choice2", "question"),
    label_names=("choice1", "choice2"),
    fields=_fields,
    templates=(
        Template("continue", "{event} {joint}", ("{clause1}", "{clause2}")),
        Template(
            "question",
            "{premise} {question}\n- {choice1}\n- {choice2}\nThe better answer:",
            ("{choice1}", "{choice2}"),
        ),
        Template(
            "likelier",
            "Either: {choice1}\nOr: {choice2}\nWhich is the likelier {asked} of this? {premise}",
            ("{choice1}", "{choice2}"),
        ),
    ),
)
