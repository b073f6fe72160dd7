"""Ways of asking: the project's own templates, or promptsource's, for one row at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mergescale.tasks.public.dataset import Dataset, Template
from mergescale.tasks.public.json_lines import JsonRow
from mergescale.tasks.public.splits import Row, values_of
from mergescale.tasks.task import Example, stable_fraction

if TYPE_CHECKING:
    from mergescale.tasks.promptsource import PromptTemplate, Rendered

TEMPLATE_MODES = ("sample", "all")
TEMPLATE_SOURCES = ("plain", "promptsource")


class Way(Protocol):
    """One template of a dataset."""

    name: str

    def ask(self, name: str, raw: Sequence[JsonRow]) -> Example | None:
        """The example `name` of a row (and its copies); None if the template cannot ask it."""


def examples_of(row: Row, ways: Sequence[Way], seed: int, mode: str) -> list[Example]:
    """Ask about a row: once, in the template that `seed` and its id choose, or in all of them.

    A template that cannot ask about the row gives its turn to the next one. Examples in all
    templates are called `<row>/<template>`.
    """
    raw = row.raw()
    if mode == "all":
        found = [way.ask(f"{row.id}/{way.name}", raw) for way in ways]
        return [example for example in found if example is not None]
    first = int(stable_fraction(f"{seed}/{row.id}/template") * len(ways))
    for way in (*ways[first:], *ways[:first]):
        if (example := way.ask(row.id, raw)) is not None:
            return [example]
    return []


def ways_of(dataset: Dataset, source: str, folder: Path | None) -> list[Way]:
    """The templates of a dataset from a source, `plain` or `promptsource`.

    Of promptsource's, those that ask what the dataset is about (it marks them as the original
    task); where none is marked, all. Ranking needs templates with choices.

    Raises:
        ValueError: the source is unknown, has no folder, or its templates cannot be used.
    """
    if source == "plain":
        return [_Plain(dataset, template) for template in dataset.templates]
    if source != "promptsource":
        raise ValueError(
            f"template source {source!r} is unknown; there are: {', '.join(TEMPLATE_SOURCES)}"
        )
    if folder is None:
        raise ValueError("tasks.templates.folder must name a folder of promptsource's templates")
    from mergescale.tasks.promptsource import load_templates

    templates = load_templates(folder, dataset.promptsource)
    chosen = [template for template in templates if template.original_task] or templates
    if dataset.kind == "rank":
        chosen = [template for template in chosen if template.answer_choices is not None]
    if not chosen:
        raise ValueError(
            f"{folder / dataset.promptsource}: none of promptsource's {len(templates)} templates "
            f"fits a task that is {'ranked' if dataset.kind == 'rank' else 'generated'}; use plain "
            f"ones"
        )
    return [_Promptsource(dataset, template) for template in chosen]


@dataclass(frozen=True)
class _Plain:
    dataset: Dataset
    template: Template

    @property
    def name(self) -> str:
        return self.template.name

    def ask(self, name: str, raw: Sequence[JsonRow]) -> Example | None:
        dataset = self.dataset
        rows = [values_of(dataset, line) for line in raw]
        fields = dataset.fields(rows[0])
        prompt = self.template.prompt.format_map(fields)
        answer = dataset.answer(rows[0])
        if dataset.kind == "rank":
            choices = tuple(choice.format_map(fields) for choice in self.template.choices)
            if not choices:
                choices = dataset.choices(rows[0])
            references = (choices[answer],)
        else:
            choices = ()
            references = _each_once([text for row in rows for text in dataset.answer(row)])
        return Example(name, self.name, prompt, references[0], choices, references)


@dataclass(frozen=True)
class _Promptsource:
    dataset: Dataset
    template: PromptTemplate

    @property
    def name(self) -> str:
        return self.template.name

    def ask(self, name: str, raw: Sequence[JsonRow]) -> Example | None:
        rendered = [self._rendered(line) for line in raw]
        first = rendered[0]
        if first is None:
            return None
        if self.dataset.kind == "rank":
            if not first.choices:
                return None
            target = first.targets[0]
            if target not in first.choices:
                raise ValueError(
                    f"{raw[0].place}, template {self.name!r}: the target {target!r} is not one of "
                    f"the choices {list(first.choices)}; mend the template or remove it"
                )
            return Example(name, self.name, first.input, target, first.choices, (target,))
        # Copies of a row are further answers, as long as they are asked alike.
        alike = [found for found in rendered if found and found.input == first.input]
        references = _each_once([text for found in alike for text in found.targets])
        return Example(name, self.name, first.input, references[0], (), references)

    def _rendered(self, line: JsonRow) -> Rendered | None:
        try:
            return self.template.render(line.values)
        except ValueError as error:
            raise ValueError(f"{line.place}: {error}") from None


def _each_once(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
