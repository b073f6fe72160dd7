"""MRPC (hub: glue, mrpc): do two sentences from the news say the same?"""

from __future__ import annotations

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template

DATASET = Dataset(
    name="mrpc",
    title="MRPC",
    describe="Two sentences from the news: do they say the same?",
    kind="rank",
    metric="accuracy",
    hub=Hub("nyu-mll/glue", "mrpc"),
    folder="glue_mrpc",
    promptsource="glue/mrpc",
    columns={"sentence1": TEXT, "sentence2": TEXT, "label": WHOLE},
    key_columns=("sentence1", "sentence2"),
    label_names=("not_equivalent", "equivalent"),
    templates=(
        Template("same", "{sentence1}\n{sentence2}\nDo these two say the same?", ("No", "Yes")),
        Template(
            "replace",
            "One paper writes: {sentence1}\nAnother writes: {sentence2}\n"
            "Could one sentence stand in for the other?",
            ("No", "Yes"),
        ),
        Template(
            "meaning",
            "First: {sentence1}\nSecond: {sentence2}\nThe meaning of the two is",
            ("different", "the same"),
        ),
    ),
)
