"""`PromptConfig`: where rows of public datasets come from, and how they are rendered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal


@dataclass(frozen=True)
class PromptConfig:
    """The keys of `tasks` in the configuration that concern public datasets, and their flags."""

    folder: Annotated[Path | None, "folder with one folder of rows per dataset (source folder)"] = (
        None
    )
    revisions: Annotated[
        dict[str, str], "commits of the hub in place of the declared ones, by dataset (source hub)"
    ] = field(default_factory=dict)
    templates: Annotated[
        Literal["plain", "promptsource"], "the project's own prompt templates, or promptsource's"
    ] = "plain"
    templates_folder: Annotated[Path | None, "folder of promptsource's templates"] = None
    template_mode: Annotated[
        Literal["sample", "all"],
        "one template per row, picked by a hash of the row, or every template",
    ] = "sample"
    overlap: Annotated[
        Literal["drop", "keep"],
        "training rows that have a 13-gram overlap with rows of other splits",
    ] = "drop"
