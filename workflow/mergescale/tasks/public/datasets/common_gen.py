"""CommonGen (hub: common_gen): one sentence with some given words. Test sentences are hidden."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, Dataset, Hub, Template, accepted_answers


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    return {"words": ", ".join(row["concepts"])}


# The hub has a row for each sentence; the sentences of one set of words are its references.
DATASET = Dataset(
    name="common_gen",
    title="CommonGen",
    describe="A few words: a sentence about an everyday scene with all of them in it.",
    kind="generate",
    metric="bleu",
    hub=Hub("allenai/common_gen"),
    folder="common_gen",
    promptsource="common_gen",
    columns={"concepts": [TEXT], "target": TEXT},
    key_columns=("concepts",),
    fields=_fields,
    label=lambda row: accepted_answers([row["target"]]),
    templates=(
        Template("sentence", "Words: {words}\nA sentence with all of them:"),
        Template("scene", "Describe a scene in one sentence that uses {words}."),
        Template("puzzle", "These words belong into one sentence: {words}. Write the sentence."),
    ),
)
