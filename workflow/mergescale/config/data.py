"""The sections `tasks`, `corpus` and `mixture`: what models are trained and evaluated on."""

from typing import Annotated, Literal

from pydantic import Field

from mergescale.config.fields import Name, Positive, RemoveNulls, Section, Text, Unique, optional

Names = Annotated[list[Name], Field(min_length=1, description="Datasets of the category."), Unique]
Categories = Annotated[dict[Name, Names], Field(min_length=1), RemoveNulls]
Rows = Literal["micro", "folder", "hub"]


class Templates(Section):
    """The section `tasks.templates`."""

    source: Literal["plain", "promptsource"] = Field(
        "plain",
        description="Whose wording, the project's own or promptsource's `templates.yaml` files.",
    )
    folder: str | None = Field(
        None,
        description="Folder of promptsource's templates, e.g. `promptsource/templates` of a "
        "checkout, relative to the working directory.",
    )
    mode: Literal["sample", "all"] = Field(
        "sample",
        description="Use one template per row (`sample`, picked by a hash of the row) or every "
        "template (`all`). Numbers of rows count rows, not examples.",
    )


class SplitRows(Section):
    """The section `tasks.rows`."""

    train: Positive = Field(2000, description="Training rows of a dataset.")
    validation: Positive = Field(128, description="Validation rows of a dataset.")
    test: Positive = Field(256, description="Test rows of a dataset.")


class Tasks(Section):
    """The section `tasks`."""

    source: Rows = Field(
        "micro",
        description="`micro` generates the rows from the built-in micro world; `folder` reads rows "
        "of public datasets from `tasks.folder`; `hub` downloads them from the Hugging Face hub "
        "into its cache.",
    )
    folder: str | None = Field(
        None,
        description="Folder of the public datasets' rows, relative to the working directory, with "
        "one folder per dataset; used by the source `folder`.",
    )
    revisions: Annotated[
        dict[
            Name,
            Annotated[Text, Field(description="Commit of the hub that the dataset is taken from.")],
        ],
        RemoveNulls,
    ] = Field(
        {},
        description="Commits of the hub in place of those that the datasets declare, by dataset; "
        "used by the source `hub`. `task.json` records the commit that was used.",
    )
    templates: Templates = Field(
        default_factory=Templates, description="Prompt templates for folder and hub rows."
    )
    overlap: Literal["drop", "keep"] = Field(
        "drop",
        description="Whether training rows that have a 13-gram overlap with validation or test "
        "rows of their dataset are dropped or kept, in the sources `folder` and `hub`; `task.json` "
        "records how many there are.",
    )
    held_in: Categories = Field(
        {
            "multiple_choice_qa": ["dream", "cosmos_qa"],
            "extractive_qa": ["adversarial_qa", "ropes"],
            "closed_book_qa": ["hotpot_qa", "wiki_qa"],
            "sentiment": ["app_reviews", "imdb"],
            "topic_classification": ["ag_news", "dbpedia"],
            "structure_to_text": ["common_gen", "wiki_bio"],
            "summarization": ["cnn_dailymail", "xsum"],
            "paraphrase_identification": ["mrpc", "qqp"],
        },
        description="Held-in categories with their datasets. Each category has an expert of its "
        "own, and the experts are merged.",
    )
    held_out: Categories = Field(
        {
            "sentence_completion": ["copa", "hellaswag"],
            "natural_language_inference": ["anli", "rte"],
            "coreference_resolution": ["wsc", "winogrande"],
            "word_sense_disambiguation": ["wic"],
        },
        description="Held-out categories with their datasets, never trained on.",
    )
    rows: SplitRows = Field(
        default_factory=SplitRows, description="Rows per dataset and split; each gives an example."
    )


class Corpus(Section):
    """The section `corpus`."""

    rows: Positive = Field(40000, description="Documents in the pre-training corpus.")


class MixtureColumns(Section):
    """The section `mixture.columns`."""

    input: Text = Field("inputs", description="Column of the prompt.")
    target: Text = Field("targets", description="Column of the answer.")
    task: Text = Field("task_name", description="Column of the task's name.")


class MixtureOverlap(Section):
    """The section `mixture.overlap`."""

    against: Literal["all", "none"] = Field(
        "all",
        description="`all` removes rows that share an n-gram with a validation or test row of any "
        "dataset of the study; `none` skips the check.",
    )
    ngram: Annotated[int, Field(ge=2)] | None = optional(
        "Length of the n-grams in words; by default 8 in the micro world, whose sentences are "
        "short, and 13 elsewhere."
    )


class Mixture(Section):
    """The section `mixture`."""

    source: Rows = Field(
        "micro",
        description="`micro` generates the mixture from the micro world; `folder` reads JSON lines "
        "files of `mixture.folder`; `hub` reads a dataset of the Hugging Face hub. T0's tasks are "
        "removed from the last two by name.",
    )
    folder: str | None = Field(
        None,
        description="Folder of JSON lines files with `task`, `definition`, `input` and `target`, "
        "relative to the working directory; used by the source `folder`.",
    )
    repo: str | None = Field(
        None,
        description="Dataset of the Hugging Face hub with parquet or JSON lines files; used by the "
        "source `hub`.",
    )
    revision: str | None = Field(
        None, description="The commit of `mixture.repo`, by its full hash."
    )
    files: str | None = Field(
        None,
        description="Pattern of the files of `mixture.repo` to use, e.g. `data/train-*`; null for "
        "all.",
    )
    columns: MixtureColumns = Field(
        default_factory=MixtureColumns, description="Names of the columns of `mixture.repo`."
    )
    overlap: MixtureOverlap = Field(
        default_factory=MixtureOverlap,
        description="The check of a `folder` or `hub` mixture against evaluation rows.",
    )
    rows: Positive = Field(120000, description="Examples in the whole mixture.")
