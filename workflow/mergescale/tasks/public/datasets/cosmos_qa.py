"""Cosmos QA (hub: cosmos_qa): what is not said outright in a blog post. Test labels are -1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template, label_index

ANSWERS = ("answer0", "answer1", "answer2", "answer3")


def _choices(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(row[column] for column in ANSWERS)


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "context": row["context"],
        "question": row["question"],
        "options": "\n".join(f"- {choice}" for choice in _choices(row)),
    }


def _label(row: Mapping[str, Any]) -> int | None:
    return None if row["label"] == -1 else label_index(row["label"], ANSWERS)


DATASET = Dataset(
    name="cosmos_qa",
    title="Cosmos QA",
    describe="A blog post and a question on what lies behind it: which of four answers?",
    kind="rank",
    metric="accuracy",
    hub=Hub("allenai/cosmos_qa"),
    folder="cosmos_qa",
    promptsource="cosmos_qa",
    columns={"context": TEXT, "question": TEXT, **dict.fromkeys(ANSWERS, TEXT), "label": WHOLE},
    key_columns=("context", "question", *ANSWERS),
    group_by=("context",),
    fields=_fields,
    label=_label,
    choices=_choices,
    templates=(
        Template("story", "{context}\nQuestion: {question}\n{options}\nAnswer:"),
        Template("blog", "From a blog: {context}\n\n{question}"),
        Template(
            "best",
            "{context}\nThe answers to choose from are:\n{options}\n"
            "Which one fits best? {question}",
        ),
    ),
)
