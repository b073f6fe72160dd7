"""WSC (hub: super_glue, wsc.fixed): what a pronoun stands for. Test labels are hidden."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    return {"text": row["text"], "noun": row["span1_text"], "pronoun": row["span2_text"]}


DATASET = Dataset(
    name="wsc",
    title="WSC",
    describe="A text, a noun and a pronoun in it: does the pronoun stand for the noun?",
    kind="rank",
    metric="accuracy",
    hub=Hub("aps/super_glue", "wsc.fixed"),
    folder="super_glue_wsc.fixed",
    promptsource="super_glue/wsc.fixed",
    columns={
        "text": TEXT,
        "span1_text": TEXT,
        "span2_text": TEXT,
        "span2_index": WHOLE,
        "label": WHOLE,
    },
    # A pronoun may occur twice in a text.
    key_columns=("text", "span1_text", "span2_text", "span2_index"),
    group_by=("text",),
    label_names=("False", "True"),
    fields=_fields,
    templates=(
        Template(
            "stands_for",
            '{text}\nDoes "{pronoun}" stand for "{noun}" here?',
            ("No", "Yes"),
        ),
        Template(
            "same",
            '{text}\nIn this text, are "{noun}" and "{pronoun}" one and the same?',
            ("No", "Yes"),
        ),
        Template(
            "note",
            '{text}\nNote: "{pronoun}" means "{noun}". This note is',
            ("wrong", "right"),
        ),
    ),
)
