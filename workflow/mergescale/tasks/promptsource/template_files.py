"""Reads promptsource's files `<dataset>[/<subset>]/templates.yaml`, of a checkout or any folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mergescale.messages import did_you_mean
from mergescale.tasks.promptsource.template import PromptsourceTemplate

FILE = "templates.yaml"
_MAX_DEPTH = 100  # of nested collections; promptsource has four levels
# Where a checkout has them; any other folder may have the datasets' folders itself.
_ROOTS = ("", "promptsource/templates", "templates")


def load_templates(folder: Path, path: str) -> list[PromptsourceTemplate]:
    """All templates of a dataset, by name.

    Args:
        folder: a checkout of promptsource, or a folder with the folders of datasets.
        path: dataset and subset as promptsource names them, e.g. `anli`, `super_glue/wsc.fixed`.

    Raises:
        ValueError: no such folder or dataset, broken YAML, or a broken template; one line with
            file, template and fix.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a directory; give a checkout of promptsource")
    for root in _ROOTS:
        if (file := folder / root / path / FILE).is_file():
            return _templates(file)
    raise ValueError(_describe_missing(folder, path))


def _templates(file: Path) -> list[PromptsourceTemplate]:
    content = _read(file)
    entries = content.get("templates") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise ValueError(f"{file}: it has no templates; add one under the key templates")
    templates: dict[str, PromptsourceTemplate] = {}
    for key, entry in entries.items():
        template = _template(file, key, entry)
        if template.name in templates:
            raise ValueError(f"{file}: two templates are called {template.name!r}; rename one")
        templates[template.name] = template
    return [templates[name] for name in sorted(templates)]


def _template(file: Path, key: Any, entry: Any) -> PromptsourceTemplate:
    def value(source: dict, field: str, kind: type, words: str) -> Any:
        given = source.get(field)
        if given is not None and not isinstance(given, kind):
            name = _format_value(source.get("name", key))
            raise ValueError(
                f"{file}, template {name}: {field} is {_format_value(given)}; it must be {words}"
            )
        return given

    if not isinstance(entry, dict):
        raise ValueError(f"{file}, template {key!r}: it must be a mapping with name and jinja")
    text = {
        field: value(entry, field, str, "text, put it in quotes")
        for field in ("name", "id", "jinja", "answer_choices")
    }
    for field in ("name", "jinja"):
        if not (text[field] or "").strip():
            raise ValueError(
                f"{file}, template {text['name'] or key!r}: {field} is missing; add it"
            )
    about = value(entry, "metadata", dict, "a mapping") or {}
    return PromptsourceTemplate(
        name=text["name"].strip(),
        id=text["id"] or str(key),
        jinja=text["jinja"],
        answer_choices=text["answer_choices"],
        metrics=tuple(map(str, value(about, "metrics", list, "a list of names") or ())),
        original_task=bool(about.get("original_task")),
        choices_in_prompt=bool(about.get("choices_in_prompt")),
        file=file,
    )


def _format_value(given: Any) -> str:
    # YAML's aliases can stand for lists that would fill the memory if they were written out.
    return f"a {type(given).__name__}" if isinstance(given, dict | list) else repr(given)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads the tags of promptsource as plain mappings; no other tag makes an object either."""


def _mapping(loader: _Loader, suffix: str, node: yaml.Node) -> dict:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(
            None, None, f"!Template{suffix} must be a mapping", node.start_mark
        )
    return loader.construct_mapping(node, deep=True)


# !Template, !TemplateMetadata and what later versions may add.
_Loader.add_multi_constructor("!Template", _mapping)


def _read(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:  # libyaml's loader would crash the process
                raise ValueError(f"{file}: nested too deep; write it as promptsource does")
        try:
            return yaml.load(text, Loader=_Loader)
        except ValueError as error:  # an impossible date or number
            raise ValueError(f"{file}: {error}; put the value in quotes") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file}: not UTF-8 text; save the file as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        location = f"{file}, line {mark.line + 1}" if mark else str(file)
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise ValueError(
            f"{location}: not YAML as promptsource writes it ({reason}); correct it"
        ) from None


def _describe_missing(folder: Path, path: str) -> str:
    datasets = {
        file.parent.relative_to(folder / root).as_posix()
        for root in reversed(_ROOTS)
        if (folder / root).is_dir()
        for depth in ("*", "*/*", "*/*/*")
        for file in (folder / root).glob(f"{depth}/{FILE}")
    }
    if not datasets:
        return (
            f"{folder}: no {FILE} for {path!r} nor for any other dataset; give a checkout of "
            f"promptsource, or a folder with <dataset>/{FILE}"
        )
    hint = did_you_mean(path, datasets)
    return (
        f"{folder}: no templates for {path!r} among {len(datasets)} datasets"
        f"{hint or f'; add {Path(path) / FILE}'}"
    )
