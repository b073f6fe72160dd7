"""DREAM (hub: dream): dialogues from English exams, a question, three answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, Dataset, Hub, Template, index_of_choice


def _choices(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(choice.strip() for choice in row["choice"])


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "dialogue": "\n".join(row["dialogue"]),
        "question": row["question"],
        "options": "\n".join(f"- {choice}" for choice in _choices(row)),
    }


DATASET = Dataset(
    name="dream",
    title="DREAM",
    describe="A dialogue and a question about it: which of three answers is right?",
    kind="rank",
    metric="accuracy",
    hub=Hub("dataset-org/dream", "plain_text"),
    folder="dream",
    promptsource="dream",
    columns={"dialogue": [TEXT], "question": TEXT, "choice": [TEXT], "answer": TEXT},
    key_columns=("dialogue", "question", "choice"),
    group_by=("dialogue",),
    fields=_fields,
    label=lambda row: index_of_choice(row["answer"], _choices(row), "answer"),
    choices=_choices,
    templates=(
        Template("listen", "{dialogue}\nQuestion: {question}\n{options}\nAnswer:"),
        Template("overheard", "Somebody overhears this:\n{dialogue}\n\n{question}"),
        Template(
            "choose",
            "{options}\nOne of these answers a question about the dialogue.\n{dialogue}\n"
            "The question: {question}\nThe answer:",
        ),
    ),
)
