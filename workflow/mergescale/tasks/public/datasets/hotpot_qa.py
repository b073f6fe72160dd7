"""HotpotQA in closed-book form (hub: kilt_tasks, hotpotqa): no text to find the answer in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import (
    TEXT,
    TEXT_OR_NULL,
    Dataset,
    Hub,
    Template,
    accepted_answers,
)


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    return {"question": row["input"]}


DATASET = Dataset(
    name="hotpot_qa",
    title="HotpotQA",
    describe="A question whose answer takes two facts, neither of which is given.",
    kind="generate",
    metric="squad_f1",
    hub=Hub("facebook/kilt_tasks", "hotpotqa", "fae7986628c7fe96d7f742eb0bb754f276b73f7c"),
    folder="kilt_hotpotqa",
    promptsource="kilt_tasks/hotpotqa",
    # An entry of the column may bear evidence alone, and no answer.
    columns={"input": TEXT, "output": [{"answer": TEXT_OR_NULL}]},
    key_columns=("input",),
    fields=_fields,
    label=lambda row: accepted_answers([given["answer"] for given in row["output"]]),
    templates=(
        Template("asked", "Question: {question}\nAnswer:"),
        Template("from_memory", "From memory, in a few words: {question}"),
        Template("trivia", "A trivia night asks this: {question}\nThe team writes down:"),
    ),
)
