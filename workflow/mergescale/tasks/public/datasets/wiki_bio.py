"""WikiBio (hub: wiki_bio): the first sentence of a biography from its table of facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergescale.tasks.public.dataset import TEXT, Dataset, Hub, Template, accepted_answers

NOTHING = "<none>"
# Brackets as the corpus writes them.
BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]"}


def _readable(text: str) -> str:
    for written, bracket in BRACKETS.items():
        text = text.replace(written, bracket)
    return " ".join(text.split())


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    table = row["input_text"]["table"]
    names, contents = table["column_header"], table["content"]
    if len(names) != len(contents):
        raise ValueError(
            f"column 'input_text': {len(names)} column headers for {len(contents)} contents; give "
            f"each content its header"
        )
    facts = [
        f"{name.replace('_', ' ')}: {_readable(content)}"
        for name, content in zip(names, contents, strict=True)
        if content.strip() and content.strip() != NOTHING
    ]
    return {"facts": "\n".join(facts), "name": _readable(row["input_text"]["context"])}


def _dedup_text(row: Mapping[str, Any]) -> list[str]:
    # Not the column headers: any two tables have the same ones in the same order.
    contents = row["input_text"]["table"]["content"]
    return [" ".join(c for c in contents if c.strip() != NOTHING), row["target_text"]]


DATASET = Dataset(
    name="wiki_bio",
    title="WikiBio",
    describe="A table of facts about a person: the first lines of the person's biography.",
    kind="generate",
    metric="bleu",
    hub=Hub(
        "michaelauli/wiki_bio",
        splits={"train": ("train",), "validation": ("val",), "test": ("test",)},
    ),
    folder="wiki_bio",
    promptsource="wiki_bio",
    columns={
        "input_text": {"table": {"column_header": [TEXT], "content": [TEXT]}, "context": TEXT},
        "target_text": TEXT,
    },
    key_columns=("input_text",),
    fields=_fields,
    dedup_text=_dedup_text,
    label=lambda row: accepted_answers([_readable(row["target_text"])]),
    templates=(
        Template("biography", "{facts}\nThe first sentence of the biography of {name}:"),
        Template("introduce", "Facts:\n{facts}\n\nIntroduce {name} with these facts."),
        Template("who", "{facts}\nFrom this, who is {name}?"),
    ),
)
