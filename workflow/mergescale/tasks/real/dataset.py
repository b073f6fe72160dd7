"""What a file under `datasets/` declares: a dataset's columns, labels and prompt templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mergescale.tasks.real.splits import Row
from mergescale.tasks.task import Example, stable_fraction


@dataclass(frozen=True)
class Template:
    """One way of asking, as format strings over a row's fields.

    Attributes:
        name: stable name; results are recorded by it.
        prompt: the question. What matters stands at its end: long prompts lose their beginning.
        choices: the answer that stands for label 0, for label 1, and so on.
    """

    name: str
    prompt: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """A classification dataset: text columns, and a column `label` of whole numbers from 0.

    Attributes:
        name: name of the task.
        title: the dataset's own name.
        folder: name of its folder of JSON lines files.
        describe: one sentence for the documentation.
        columns: the text columns. They are a row's identity: two rows that agree in them are one.
        labels: the hub's names of the labels 0, 1, ...
        templates: the ways of asking; each row is asked in one of them.
        fields: makes what templates may name from a row's text columns, by default the columns
            themselves; raises ValueError, naming the column, on text that it cannot use.
    """

    name: str
    title: str
    folder: str
    describe: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    templates: tuple[Template, ...]
    fields: Callable[[Mapping[str, str]], dict[str, str]] = dict

    def __post_init__(self) -> None:
        for template in self.templates:
            if len(template.choices) != len(self.labels):
                raise ValueError(
                    f"dataset {self.name}, template {template.name}: {len(template.choices)} "
                    f"choices for {len(self.labels)} labels"
                )


def render(dataset: Dataset, row: Row, seed: int) -> Example:
    """Ask about a row in the template that `seed` and the row's id choose."""
    place = int(stable_fraction(f"{seed}/{row.id}/template") * len(dataset.templates))
    template = dataset.templates[place]
    choices = tuple(choice.format_map(row.fields) for choice in template.choices)
    target = choices[row.label]
    return Example(
        id=row.id,
        template=template.name,
        input=template.prompt.format_map(row.fields),
        target=target,
        choices=choices,
        references=(target,),
    )
