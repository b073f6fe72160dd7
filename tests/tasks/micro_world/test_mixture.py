"""The instruction mixture: broad, balanced, deterministic, and apart from what is evaluated."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from mergescale.tasks.micro_world import evaluation
from mergescale.tasks.micro_world import mixture as package
from mergescale.tasks.micro_world.knowledge import THING_MOTIVES
from mergescale.tasks.micro_world.mixture import MIXTURE, MIXTURE_TASKS, WEIGHTS, mixture, page
from mergescale.tasks.micro_world.mixture.reference import THING_REASONS
from mergescale.tasks.micro_world.mixture.siblings import SIBLINGS
from mergescale.tasks.task import split_of

ROWS = 8_800
# evaluation task: (its drawing function, the slots that make up its content)
CONTENTS = {
    "copa": ("sentence_completion._copa", ("premise", "first", "second")),
    "hellaswag": ("sentence_completion._hellaswag", ("told",)),
    "anli": ("natural_language_inference._anli", ("premise", "claim")),
    "rte": ("natural_language_inference._rte", ("premise", "claim")),
    "wsc": ("coreference_resolution._wsc", ("text",)),
    "winogrande": ("coreference_resolution._winogrande", ("text",)),
    "wic": ("word_sense_disambiguation._wic", ("first", "second")),
    "dream": ("multiple_choice_qa._dream", ("dialogue",)),
    "cosmos_qa": ("multiple_choice_qa._cosmos", ("text",)),
    "adversarial_qa": ("extractive_qa._adversarial_qa", ("passage",)),
    "ropes": ("extractive_qa._ropes", ("situation",)),
    "hotpot_qa": ("closed_book_qa._hotpot_qa", ("question",)),
    "wiki_qa": ("closed_book_qa._wiki_qa", ("question", "statement")),
    "app_reviews": ("sentiment._app_reviews", ("review",)),
    "imdb": ("sentiment._imdb", ("review",)),
    "ag_news": ("topic_classification._ag_news", ("news",)),
    "dbpedia": ("topic_classification._dbpedia", ("entry",)),
    "common_gen": ("structure_to_text._common_gen", ("concepts",)),
    "wiki_bio": ("structure_to_text._wiki_bio", ("table",)),
    "cnn_dailymail": ("summarization._cnn_dailymail", ("article",)),
    "xsum": ("summarization._xsum", ("article",)),
    "mrpc": ("paraphrase_identification._mrpc", ("first", "second")),
    "qqp": ("paraphrase_identification._qqp", ("first", "second")),
}


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]+", text)


def words(template: str) -> list[str]:
    """A template without its contents: lower-case words, a bar for every slot."""
    return re.findall(r"\w+|\|", re.sub(r"\{\w+\}", " | ", template).lower())


def runs(template: str, length: int) -> set[tuple[str, ...]]:
    """All runs of `length` words (and slots) of a template."""
    said = words(template)
    return {tuple(said[i : i + length]) for i in range(len(said) - length + 1)}


def evaluation_templates() -> dict[str, str]:
    """Templates of the 23 tasks, read from the `templates=` arguments in their sources."""
    found = {}
    for module in pkgutil.iter_modules(evaluation.__path__):
        if module.ispkg:
            continue
        tree = ast.parse((Path(evaluation.__path__[0]) / f"{module.name}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "templates":
                if isinstance(node.value, ast.Dict):
                    for name, text in ast.literal_eval(node.value).items():
                        found[f"{module.name}/{node.lineno}/{name}"] = text
    return found


@pytest.fixture(scope="module")
def rows():
    return mixture(ROWS, 1)


def test_mixture_is_broad_and_follows_its_weights(rows):
    assert len(MIXTURE) >= 36
    counts = Counter(name for name, _ in rows)
    assert set(counts) == set(MIXTURE)
    total = sum(WEIGHTS.values())
    assert all(abs(counts[n] - ROWS * weight / total) <= 1 for n, weight in WEIGHTS.items())
    kinds = Counter(task.kind for task in MIXTURE.values())
    assert min(kinds["rank"], kinds["generate"]) >= 10
    assert all(2 <= len(entry.wordings) <= 6 for entry in MIXTURE_TASKS.values())


def test_mixture_is_deterministic_with_unique_ids(rows):
    assert mixture(ROWS, 1) == rows
    assert mixture(500, 2) != mixture(500, 1)
    assert len({example.id for _, example in rows}) == len(rows)


def test_prompts_and_targets_are_short(rows):
    prompts = [len(tokens(example.input)) for _, example in rows]
    assert max(prompts) <= 64
    assert 15 <= sum(prompts) / len(prompts) <= 30
    assert max(len(tokens(example.target)) for _, example in rows) <= 20


def test_every_answer_is_a_choice_and_labels_are_balanced(rows):
    labels: dict[tuple[str, tuple[str, ...]], Counter[str]] = {}
    first: dict[str, list[bool]] = {}
    for name, example in rows:
        if not example.choices:
            continue
        assert example.target in example.choices
        assert len(set(example.choices)) == len(example.choices)
        first.setdefault(name, []).append(example.target == example.choices[0])
        key = (example.template, tuple(sorted(example.choices)))
        labels.setdefault(key, Counter())[example.target] += 1
    for (template, choices), counts in labels.items():
        if sum(counts.values()) >= 60:  # fixed labels, not options drawn anew for every row
            assert min(counts[c] for c in choices) > 0.5 * counts.total() / len(choices), template
    for name, hits in first.items():
        assert 0.12 < sum(hits) / len(hits) < 0.65, name


def test_no_template_of_the_mixture_is_one_of_evaluation():
    evaluated = evaluation_templates()
    assert len(evaluated) >= 69
    for length in (5, 8):
        theirs = {run for text in evaluated.values() for run in runs(text, length)}
        for entry in MIXTURE_TASKS.values():
            for wording in entry.wordings:
                shared = runs(wording.text, length) & theirs
                assert not shared, (
                    f"{entry.task.name} shares {shared} with a template of evaluation"
                )
    normal = {tuple(words(text)) for text in evaluated.values()}
    for entry in MIXTURE_TASKS.values():
        for wording in entry.wordings:
            assert tuple(words(wording.text)) not in normal, wording.text


def test_no_evaluated_prompt_is_in_the_mixture(rows):
    prompts = {example.input for _, example in rows}
    for task in evaluation.TASKS.values():
        for split in ("validation", "test"):
            assert not prompts & {e.input for e in task.examples(split, 50, 0)}, task.name


@pytest.mark.parametrize("task", CONTENTS)
def test_no_evaluated_content_is_in_the_mixture(rows, task):
    """No prompt of the mixture holds all parts of a content of the test or validation split."""
    place, slots = CONTENTS[task]
    module, function = place.split(".")
    draw = getattr(importlib.import_module(f"{evaluation.__name__}.{module}"), function)
    text = "\n".join(f"{e.input} {e.target}" for _, e in rows).lower().replace("...", "_")
    rng = random.Random(task)
    for _ in range(300):
        content = draw(rng, rng.randrange(2))
        if split_of(f"{task}/{content.key}") == "train":
            continue
        parts = sorted((content.slots[s].lower().rstrip(".") for s in slots), key=len)
        at = text.find(parts[-1])
        while at >= 0:
            line = text[text.rfind("\n", 0, at) + 1 : text.find("\n", at)]
            assert not all(part in line for part in parts), f"{task}: {line}"
            at = text.find(parts[-1], at + 1)


def test_things_of_the_mixture_are_other_pairs_than_those_of_evaluation():
    for (frame, *_, evaluated), (own_frame, *_, own) in zip(
        THING_MOTIVES, THING_REASONS, strict=True
    ):
        assert frame != own_frame and not set(evaluated) & set(own)


def test_no_label_set_of_the_mixture_is_one_of_evaluation():
    """Yes and no apart, which FLAN has as well."""
    evaluated = {
        frozenset(example.choices)
        for task in evaluation.TASKS.values()
        if task.kind == "rank"
        for example in task.examples("test", 40, 0)
    }
    # Labels are choices that every row has.
    fixed = {
        frozenset.intersection(*(frozenset(e.choices) for e in task.examples("test", 40, 0)))
        for task in evaluation.TASKS.values()
        if task.kind == "rank"
    } & evaluated - {frozenset({"yes", "no"})}
    assert frozenset({"world", "sports", "business", "science"}) in fixed
    assert len(fixed) == 5
    for entry in MIXTURE_TASKS.values():
        for example in entry.task.examples("train", 60, 0):
            assert frozenset(example.choices) not in fixed, (entry.task.name, example.choices)


def test_every_category_of_evaluation_has_siblings():
    assert set(SIBLINGS) == set(evaluation.CATEGORIES)
    for category, siblings in SIBLINGS.items():
        assert len(siblings.tasks) >= 5, category
        assert set(siblings.tasks) <= set(MIXTURE)
        assert not set(siblings.tasks) & set(evaluation.TASKS)


def test_documentation_is_in_step():
    path = Path(__file__).parents[3] / "docs" / "mixture.md"
    assert path.read_text() == page(), f"{package.__name__}.page() has changed: write it to {path}"
