"""AG News (hub: ag_news): headline and first lines of a news item, in four sections."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template


def _readable(texts: Mapping[str, Any]) -> dict[str, str]:
    """Undo what the corpus did to its text: ` #39;` for an apostrophe, links, `\\` for a break."""
    text = texts["text"].replace(" #39;", "'")
    text = html.unescape(re.sub(r"&?#(\d+);", r"&#\1;", text))
    text = re.sub(r"</?[A-Za-z][^>]*>", "", text)
    return {"news": " ".join(text.replace("\\", " ").split())}


SECTIONS = ("World", "Sports", "Business", "Science")
DATASET = Dataset(
    name="ag_news",
    title="AG News",
    kind="rank",
    metric="accuracy",
    hub=Hub("fancyzhx/ag_news", splits={"train": ("train",), "test": ("test",)}),
    promptsource="ag_news",
    folder="ag_news",
    describe="A piece of news: world, sports, business, or science and technology?",
    columns={"text": TEXT, "label": WHOLE},
    key_columns=("text",),
    label_names=("World", "Sports", "Business", "Sci/Tech"),
    fields=_readable,
    templates=(
        Template("section", "{news}\nWhich section of the paper printed this?", SECTIONS),
        Template("topic", "News: {news}\nTopic:", SECTIONS),
        Template(
            "editor",
            "{news}\nAn editor sorts this under World, Sports, Business or Science. Which?",
            SECTIONS,
        ),
        Template(
            "about",
            "{news}\nThis news is mainly about",
            ("world affairs", "sports", "business", "science and technology"),
        ),
    ),
)
