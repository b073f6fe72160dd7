"""WikiQA (hub: wiki_qa): does a sentence of Wikipedia answer a question people searched for?"""

from __future__ import annotations

from mergescale.tasks.public.dataset import TEXT, WHOLE, Dataset, Hub, Template

DATASET = Dataset(
    name="wiki_qa",
    title="WikiQA",
    describe="A question and a sentence: does the sentence answer the question?",
    kind="rank",
    metric="accuracy",
    hub=Hub("microsoft/wiki_qa"),
    folder="wiki_qa",
    promptsource="wiki_qa",
    columns={"question": TEXT, "answer": TEXT, "label": WHOLE},
    key_columns=("question", "answer"),
    label_names=("0", "1"),
    templates=(
        Template(
            "answers",
            "Question: {question}?\nSentence: {answer}\nDoes the sentence answer the question?",
            ("No", "Yes"),
        ),
        Template(
            "search",
            'Somebody searches for "{question}" and finds: {answer}\nIs the search over?',
            ("No", "Yes"),
        ),
        Template(
            "verdict",
            "Asked: {question}?\nReplied: {answer}\nAs an answer, the reply is",
            ("wrong", "right"),
        ),
    ),
)
