"""WiC (hub: super_glue, wic): has a word one sense in two sentences? Test labels are hidden."""

from __future__ import annotations

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template

DATASET = Dataset(
    name="wic",
    title="WiC",
    describe="A word in two sentences: does it mean the same in both?",
    kind="rank",
    metric="accuracy",
    hub=Hub("aps/super_glue", "wic"),
    folder="super_glue_wic",
    promptsource="super_glue/wic",
    columns={"word": TEXT, "sentence1": TEXT, "sentence2": TEXT, "label": WHOLE},
    key_columns=("word", "sentence1", "sentence2"),
    group_by=("word",),
    label_names=("False", "True"),
    templates=(
        Template(
            "alike",
            '{sentence1}\n{sentence2}\nIs "{word}" meant alike in both sentences?',
            ("No", "Yes"),
        ),
        Template(
            "dictionary",
            'A dictionary lists the senses of "{word}". Do these two belong to one sense?\n'
            "- {sentence1}\n- {sentence2}\nAnswer:",
            ("No", "Yes"),
        ),
        Template(
            "sense",
            'One: {sentence1}\nTwo: {sentence2}\nThe sense of "{word}" in one and two is',
            ("different", "the same"),
        ),
    ),
)
