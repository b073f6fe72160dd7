"""XSum (hub: xsum): news with its one-sentence summary."""

from __future__ import annotations

from mergescale.tasks.public.dataset import TEXT, Dataset, Hub, Template, accepted_answers

# Articles are long and prompts lose their beginning: every template has its question at the end.
DATASET = Dataset(
    name="xsum",
    title="XSum",
    describe="A piece of news: what it says in one sentence.",
    kind="generate",
    metric="rouge_l",
    hub=Hub("EdinburghNLP/xsum"),
    folder="xsum",
    promptsource="xsum",
    columns={"document": TEXT, "summary": TEXT},
    key_columns=("document",),
    label=lambda row: accepted_answers([row["summary"]]),
    templates=(
        Template("sentence", "{document}\n\nThis piece in one sentence:"),
        Template("lead", "{document}\n\nWrite the sentence that stands above this report."),
        Template("friend", "{document}\n\nA friend asks what happened. In a sentence:"),
    ),
)
