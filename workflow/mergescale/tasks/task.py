"""`Task` and `Example`: a dataset with its prompts, and one prompt with its answer.

Every source of tasks (the micro world, a local folder, the Hugging Face hub) yields these two
types; everything downstream treats the sources alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mergescale.provenance.digests import text_hash

SPLITS = ("train", "validation", "test")
KINDS = ("rank", "generate")


@dataclass(frozen=True)
class Example:
    """A rendered prompt with its gold answer and what is needed to score a prediction.

    Attributes:
        id: stable name, unique within the task over all splits; `<row>/<template>` where a row is
            rendered by every template.
        template: name of the prompt template that rendered `input`.
        input: the prompt.
        target: the gold answer, as the model is trained to write it.
        choices: all label strings that rank classification compares; empty for generation.
        references: accepted answers for generation metrics; `(target,)` where there is only one.

    Raises:
        ValueError: the target is not one of the choices.
    """

    id: str
    template: str
    input: str
    target: str
    choices: tuple[str, ...] = ()
    references: tuple[str, ...] = ()

    @property
    def row(self) -> str:
        """Id of the row that the example was rendered from."""
        return self.id.removesuffix(f"/{self.template}")

    def __post_init__(self) -> None:
        if self.choices and self.target not in self.choices:
            raise ValueError(
                f"example {self.id}: the target {self.target!r} is not one of the choices "
                f"{list(self.choices)}"
            )


@dataclass(frozen=True)
class Task:
    """A dataset with its prompts, choices and metric.

    Attributes:
        name: file name of the task, e.g. `hellaswag`.
        title: the dataset's own name, e.g. `HellaSwag`.
        kind: `rank` (rank classification over `Example.choices`) or `generate`.
        metric: name of a metric of `mergescale.evaluation.metrics`, e.g. `accuracy`, `squad_f1`.
        describe: one sentence for the documentation.
        examples: `examples(split, rows, seed)` returns the examples of at most `rows` rows of a
            split; one per row, unless every template renders each row.
        record: further fields of task.json; called after `examples`.
        resembles: how a task of the micro world resembles the dataset that it stands in for.
    """

    name: str
    title: str
    kind: str
    metric: str
    describe: str
    examples: Callable[[str, int, int], list[Example]]
    record: Callable[[], dict[str, Any]] = dict
    resembles: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"task {self.name}: kind {self.kind!r} is not one of {KINDS}")


def chance_level(examples: Sequence[Example]) -> float:
    """The expected score of picking a choice at random; 0 for generated answers."""
    return sum(1 / len(e.choices) if e.choices else 0.0 for e in examples) / len(examples)


def stable_fraction(text: str) -> float:
    """Hash a text to a number in [0, 1) that is the same in every process, on every machine."""
    return text_hash(text) / 2**64


def split_of(content: str, *, validation: float = 0.1, test: float = 0.15) -> str:
    """Assign a content to a split by its hash, so that splits are disjoint by construction.

    Args:
        content: identifies the content.
        validation: fraction of contents that are validation contents.
        test: fraction of contents that are test contents.
    """
    fraction = stable_fraction(content)
    if fraction < test:
        return "test"
    return "validation" if fraction < test + validation else "train"
