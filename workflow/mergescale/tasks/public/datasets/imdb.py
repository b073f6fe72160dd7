"""IMDB (hub: imdb): film reviews that are clearly negative or clearly positive."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template


def _readable(texts: Mapping[str, Any]) -> dict[str, str]:
    """Line breaks in place of the web page's tags for them."""
    return {"review": re.sub(r"(\s*<br\s*/?>\s*)+", "\n", texts["text"]).strip()}


# Reviews are long and prompts lose their beginning: every template has its question at the end.
DATASET = Dataset(
    name="imdb",
    title="IMDB",
    kind="rank",
    metric="accuracy",
    hub=Hub("stanfordnlp/imdb", "plain_text", splits={"train": ("train",), "test": ("test",)}),
    promptsource="imdb",
    folder="imdb",
    describe="A film review: did its writer like the film?",
    columns={"text": TEXT, "label": WHOLE},
    key_columns=("text",),
    label_names=("neg", "pos"),
    fields=_readable,
    templates=(
        Template("liked", "{review}\nDid the person who wrote this like the film?", ("No", "Yes")),
        Template("overall", "Review: {review}\nOverall, this review is", ("negative", "positive")),
        Template(
            "opinion",
            "{review}\nWhat does the writer think of the film: is it good or bad?",
            ("bad", "good"),
        ),
        Template(
            "friend",
            "{review}\nWould this writer tell a friend to watch the film or to skip it?",
            ("skip", "watch"),
        ),
    ),
)
