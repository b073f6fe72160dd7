"""App Reviews (hub: app_reviews): reviews of apps with one to five stars, all in one split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template, label_index

STARS = ("one star", "two stars", "three stars", "four stars", "five stars")


def _label(row: Mapping[str, Any]) -> int:
    return label_index(row["star"], STARS, "star", first=1)


DATASET = Dataset(
    name="app_reviews",
    title="App Reviews",
    describe="A review of an app: how many of five stars came with it?",
    kind="rank",
    metric="accuracy",
    hub=Hub("sealuzh/app_reviews", splits={"train": ("train",)}),
    folder="app_reviews",
    promptsource="app_reviews",
    columns={"review": TEXT, "star": WHOLE},
    key_columns=("review",),
    label=_label,
    templates=(
        Template("stars", "{review}\nHow many stars did this review give the app?", STARS),
        Template(
            "scale",
            "Review of an app: {review}\nFrom 1 (bad) to 5 (great), the app got",
            ("1", "2", "3", "4", "5"),
        ),
        Template(
            "word",
            "{review}\nIn one word, whoever wrote this finds the app",
            ("terrible", "poor", "fair", "good", "excellent"),
        ),
    ),
)
