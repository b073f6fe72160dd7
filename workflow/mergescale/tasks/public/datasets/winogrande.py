"""Winogrande (hub: winogrande, winogrande_xl): what fills the blank? Test answers are empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, Dataset, Hub, Template, index_of_choice

BLANK = "_"


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    if BLANK not in row["sentence"]:
        raise ValueError(
            f"column 'sentence': there is no blank ({BLANK}); put one where the word belongs"
        )
    return {key: row[key] for key in ("sentence", "option1", "option2")}


def _label(row: Mapping[str, Any]) -> int | None:
    return index_of_choice(row["answer"], ("1", "2"), "answer") if row["answer"] else None


CHOICES = ("{option1}", "{option2}")
DATASET = Dataset(
    name="winogrande",
    title="Winogrande",
    describe="A sentence with a gap and two names or things: which one belongs into the gap?",
    kind="rank",
    metric="accuracy",
    hub=Hub("allenai/winogrande", "winogrande_xl"),
    folder="winogrande",
    promptsource="winogrande/winogrande_xl",
    columns={"sentence": TEXT, "option1": TEXT, "option2": TEXT, "answer": TEXT},
    key_columns=("sentence", "option1", "option2"),
    fields=_fields,
    label=_label,
    templates=(
        Template("gap", "{sentence}\nIn the gap belongs", CHOICES),
        Template("either", "{sentence}\nIs _ {option1} or {option2}?", CHOICES),
        Template(
            "words",
            "Fill the gap with one of these: {option1}, {option2}.\n{sentence}\nThe gap is for",
            CHOICES,
        ),
    ),
)
