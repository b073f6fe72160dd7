"""QQP (hub: glue, qqp): are two questions the same question? Test labels are -1."""

from __future__ import annotations

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template

DATASET = Dataset(
    name="qqp",
    title="QQP",
    describe="Two questions that people asked on a web site: do they ask the same?",
    kind="rank",
    metric="accuracy",
    hub=Hub("nyu-mll/glue", "qqp"),
    folder="glue_qqp",
    promptsource="glue/qqp",
    columns={"question1": TEXT, "question2": TEXT, "label": WHOLE},
    key_columns=("question1", "question2"),
    label_names=("not_duplicate", "duplicate"),
    templates=(
        Template("same", "{question1}\n{question2}\nDo both ask the same?", ("No", "Yes")),
        Template(
            "one_answer",
            "Anna asks: {question1}\nBen asks: {question2}\nWould one answer do for both?",
            ("No", "Yes"),
        ),
        Template(
            "forum",
            "Already asked: {question1}\nNew: {question2}\nThe new question is",
            ("another one", "a repetition"),
        ),
    ),
)
