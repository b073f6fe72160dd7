"""ROPES (hub: ropes): apply what a paragraph explains to a situation. Test answers are hidden."""

from __future__ import annotations

from mergescale.tasks.public.dataset import TEXT, Dataset, Hub, Template, accepted_answers

DATASET = Dataset(
    name="ropes",
    title="ROPES",
    describe="A paragraph that explains something, a situation, and a question that needs both.",
    kind="generate",
    metric="squad_f1",
    # The commit is the parquet branch's.
    hub=Hub("allenai/ropes", "plain_text", "59ddd633cf1b31b31cd101afdced00690eb52cbf"),
    folder="ropes",
    promptsource="ropes",
    columns={"background": TEXT, "situation": TEXT, "question": TEXT, "answers": {"text": [TEXT]}},
    key_columns=("background", "situation", "question"),
    group_by=("background",),
    label=lambda row: accepted_answers(row["answers"]["text"]),
    templates=(
        Template("applied", "{background}\n\n{situation}\n\nQuestion: {question}\nAnswer:"),
        Template(
            "rule_and_case",
            "What is known: {background}\nThe case: {situation}\nWhat follows? {question}",
        ),
        Template(
            "hint",
            "{situation}\nA hint: {background}\nWith the hint in mind, {question}",
        ),
    ),
)
