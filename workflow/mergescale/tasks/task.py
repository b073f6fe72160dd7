"""What is asked of a model: an `Example` is one prompt with its answer, a `Task` makes examples.

Every source of tasks (the micro world, local files of real rows) yields these two types, and
nothing downstream can tell the sources apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mergescale.provenance.digests import text_hash

SPLITS = ("train", "validation", "test")
KINDS = ("rank", "generate")


@dataclass(frozen=True)
class Example:
    """One prompt, its gold answer and what is needed to score a model's answer.

    Attributes:
        id: stable name, unique within the task over all splits; `<row>/<template>` where a row is
            asked in several templates.
        template: name of the prompt template that rendered `input`.
        input: the prompt.
        target: the gold answer, as the model is trained to write it.
        choices: all label strings that rank classification compares; empty for generation.
        references: accepted answers for generation metrics; `(target,)` where there is just one.
    """

    id: str
    template: str
    input: str
    target: str
    choices: tuple[str, ...] = ()
    references: tuple[str, ...] = ()

    @property
    def row(self) -> str:
        """The row that the example asks about; its own id unless that ends with its template."""
        return self.id.removesuffix(f"/{self.template}")

    def __post_init__(self) -> None:
        if self.choices and self.target not in self.choices:
            raise ValueError(
                f"example {self.id}: the target {self.target!r} is not one of the choices "
                f"{list(self.choices)}"
            )


@dataclass(frozen=True)
class Task:
    """A dataset with its way of being asked and scored.

    Attributes:
        name: file name of the task, e.g. `hellaswag`.
        title: the dataset's own name, e.g. `HellaSwag`.
        kind: `rank` (rank classification over `Example.choices`) or `generate`.
        metric: name of a metric of `mergescale.evaluation.metrics`, e.g. `accuracy`, `squad_f1`.
        describe: one sentence for the documentation.
        examples: `examples(split, rows, seed)` returns the examples of at most `rows` rows of a
            split; most sources make one of a row.
        record: what else task.json says, asked for after `examples`.
    """

    name: str
    title: str
    kind: str
    metric: str
    describe: str
    examples: Callable[[str, int, int], list[Example]]
    record: Callable[[], dict[str, Any]] = dict

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"task {self.name}: kind {self.kind!r} is not one of {KINDS}")


def stable_fraction(text: str) -> float:
    """Map `text` to a number in [0, 1) that is the same in every process and on every machine."""
    return text_hash(text) / 2**64


def split_of(content: str, *, validation: float = 0.1, test: float = 0.15) -> str:
    """Assign a piece of content to a split by its hash, so that splits are disjoint by nature."""
    fraction = stable_fraction(content)
    if fraction < test:
        return "test"
    return "validation" if fraction < test + validation else "train"
