"""CNN/DailyMail (hub: cnn_dailymail, 3.0.0): news with the highlights that stood above it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, Dataset, Hub, Template, accepted_answers


def _label(row: Mapping[str, Any]) -> tuple[str, ...] | None:
    # One highlight a line.
    return accepted_answers([" ".join(row["highlights"].split())])


# Articles are long and prompts lose their beginning: every template has its question at the end.
DATASET = Dataset(
    name="cnn_dailymail",
    title="CNN/DailyMail",
    describe="A piece of news: its highlights in a few sentences.",
    kind="generate",
    metric="rouge_l",
    hub=Hub("abisee/cnn_dailymail", "3.0.0"),
    folder="cnn_dailymail",
    promptsource="cnn_dailymail/3.0.0",
    columns={"article": TEXT, "highlights": TEXT},
    key_columns=("article",),
    label=_label,
    templates=(
        Template("highlights", "{article}\n\nThe highlights of this piece:"),
        Template("hurry", "{article}\n\nFor readers in a hurry, in a few sentences:"),
        Template("points", "News: {article}\n\nWhat are its main points?"),
    ),
)
