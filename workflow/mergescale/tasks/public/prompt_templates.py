"""Renders rows as examples, with the project's own prompt templates or promptsource's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mergescale.tasks.public.dataset import Dataset, Template
from mergescale.tasks.public.splits import SplitRow, checked_values
from mergescale.tasks.rows import Row
from mergescale.tasks.task import Example, stable_fraction

if TYPE_CHECKING:
    from mergescale.tasks.promptsource import PromptsourceTemplate, Rendered

TEMPLATE_SOURCES = ("plain", "promptsource")


class PromptTemplate(Protocol):
    """A prompt template of a dataset."""

    name: str

    def render(self, id: str, rows: Sequence[Row]) -> Example | None:
        """Render a row as an example.

        Args:
            id: id of the example.
            rows: the row and its copies, whose answers are further references.

        Returns:
            The example; None if the template does not fit the row.
        """


def render_examples(
    row: SplitRow, templates: Sequence[PromptTemplate], seed: int, mode: str
) -> list[Example]:
    """Render a row as examples.

    Args:
        row: the row.
        templates: the dataset's prompt templates.
        seed: decides, with the row's id, which template is sampled.
        mode: `sample` renders one template; if it does not fit the row, the next one that does.
            `all` renders every template, as examples with the ids `<row>/<template>`.
    """
    rows = row.read()
    if mode == "all":
        rendered = [template.render(f"{row.id}/{template.name}", rows) for template in templates]
        return [example for example in rendered if example is not None]
    first = int(stable_fraction(f"{seed}/{row.id}/template") * len(templates))
    for template in (*templates[first:], *templates[:first]):
        if (example := template.render(row.id, rows)) is not None:
            return [example]
    return []


def load_prompt_templates(
    dataset: Dataset, source: str, folder: Path | None
) -> list[PromptTemplate]:
    """The prompt templates of a dataset.

    Of promptsource's templates, those are used that it marks as the dataset's original task (all
    of them if none is marked); ranking needs templates with answer choices.

    Args:
        dataset: the dataset.
        source: `plain` for the project's own templates, or `promptsource`.
        folder: folder of promptsource's templates.

    Raises:
        ValueError: the source is unknown, has no folder, or its templates cannot be used.
    """
    if source == "plain":
        return [_PlainTemplate(dataset, template) for template in dataset.templates]
    if source != "promptsource":
        raise ValueError(
            f"tasks.templates.source {source!r} is unknown; use one of "
            f"{', '.join(TEMPLATE_SOURCES)}"
        )
    if folder is None:
        raise ValueError("tasks.templates.folder must name a folder of promptsource's templates")
    from mergescale.tasks.promptsource import load_templates

    loaded = load_templates(folder, dataset.promptsource)
    templates = [template for template in loaded if template.original_task] or loaded
    if dataset.kind == "rank":
        templates = [template for template in templates if template.answer_choices is not None]
    if not templates:
        kind = "ranked" if dataset.kind == "rank" else "generated"
        raise ValueError(
            f"{folder / dataset.promptsource}: none of promptsource's {len(loaded)} templates fits "
            f"a task whose answers are {kind}; use plain templates"
        )
    return [_FromPromptsource(dataset, template) for template in templates]


@dataclass(frozen=True)
class _PlainTemplate:
    dataset: Dataset
    template: Template

    @property
    def name(self) -> str:
        return self.template.name

    def render(self, id: str, rows: Sequence[Row]) -> Example | None:
        dataset = self.dataset
        values = [checked_values(dataset, row) for row in rows]
        fields = dataset.fields(values[0])
        prompt = self.template.prompt.format_map(fields)
        answer = dataset.answer(values[0])
        if dataset.kind == "rank":
            choices = tuple(choice.format_map(fields) for choice in self.template.choices)
            if not choices:
                choices = dataset.choices(values[0])
            references = (choices[answer],)
        else:
            choices = ()
            references = _distinct([text for row in values for text in dataset.answer(row)])
        return Example(id, self.name, prompt, references[0], choices, references)


@dataclass(frozen=True)
class _FromPromptsource:
    dataset: Dataset
    template: PromptsourceTemplate

    @property
    def name(self) -> str:
        return self.template.name

    def render(self, id: str, rows: Sequence[Row]) -> Example | None:
        rendered = [self._render(row) for row in rows]
        first = rendered[0]
        if first is None:
            return None
        if self.dataset.kind == "rank":
            if not first.choices:
                return None
            target = first.targets[0]
            if target not in first.choices:
                raise ValueError(
                    f"{rows[0].location}, template {self.name!r}: the target {target!r} is not one "
                    f"of the choices {list(first.choices)}; fix the template or remove it"
                )
            return Example(id, self.name, first.input, target, first.choices, (target,))
        # Copies of a row are further answers, as long as their prompts are equal.
        equal = [copy for copy in rendered if copy and copy.input == first.input]
        references = _distinct([text for copy in equal for text in copy.targets])
        return Example(id, self.name, first.input, references[0], (), references)

    def _render(self, row: Row) -> Rendered | None:
        try:
            return self.template.render(row.values)
        except ValueError as error:
            raise ValueError(f"{row.location}: {error}") from None


def _distinct(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
