"""Adversarial QA (hub: adversarial_qa): questions meant to fool a model; test answers hidden."""

from __future__ import annotations

from mergescale.tasks.public.dataset import TEXT, Dataset, Hub, Template, accepted_answers

DATASET = Dataset(
    name="adversarial_qa",
    title="Adversarial QA",
    describe="A paragraph and a hard question: the words of the paragraph that answer it.",
    kind="generate",
    metric="squad_f1",
    hub=Hub("UCLNLP/adversarial_qa", "adversarialQA"),
    folder="adversarial_qa",
    promptsource="adversarial_qa/adversarialQA",
    columns={"context": TEXT, "question": TEXT, "answers": {"text": [TEXT]}},
    key_columns=("context", "question"),
    group_by=("context",),
    label=lambda row: accepted_answers(row["answers"]["text"]),
    templates=(
        Template("asked", "{context}\nQuestion: {question}\nAnswer:"),
        Template("quote", "{context}\nQuote the words that answer this: {question}"),
        Template("find", "Paragraph: {context}\n\nFind in the paragraph: {question}"),
    ),
)
