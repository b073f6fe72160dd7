"""HellaSwag (hub: hellaswag): which ending continues a description? Test labels are empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, Dataset, Hub, Template

LABELS = ("0", "1", "2", "3")


def _readable(text: str) -> str:
    """Without the marks that the corpus puts for titles and steps of instructions."""
    for mark in ("[header]", "[title]", "[step]", "[substeps]"):
        text = text.replace(mark, " ")
    return " ".join(text.split())


def _choices(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_readable(ending) for ending in row["endings"])


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "beginning": _readable(row["ctx"]),
        "topic": row["activity_label"],
        "options": "\n".join(f"- {choice}" for choice in _choices(row)),
    }


def _label(row: Mapping[str, Any]) -> int | None:
    if not row["label"]:
        return None
    endings = len(row["endings"])
    if row["label"] not in LABELS[:endings]:
        raise ValueError(
            f"column 'label': the label {row['label']!r} is not the number of one of the {endings} "
            f"endings; use one of {', '.join(LABELS[:endings])}"
        )
    return LABELS.index(row["label"])


DATASET = Dataset(
    name="hellaswag",
    title="HellaSwag",
    describe="The beginning of a description and four endings: which one goes on with it?",
    kind="rank",
    metric="accuracy",
    hub=Hub("Rowan/hellaswag", revision="9c75cc00ec2e1f93893cbd25ba617ee30eb70d88"),
    folder="hellaswag",
    promptsource="hellaswag",
    columns={"ctx": TEXT, "activity_label": TEXT, "endings": [TEXT], "label": TEXT},
    key_columns=("ctx", "endings"),
    group_by=("ctx",),
    fields=_fields,
    label=_label,
    choices=_choices,
    templates=(
        Template("continue", "{beginning}"),
        Template("topic", "{topic}: {beginning}"),
        Template("options", "Endings:\n{options}\nWhich one goes on with this? {beginning}"),
    ),
)
